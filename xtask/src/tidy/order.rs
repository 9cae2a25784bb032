//! The one direction of imports inside the product: a module may use what stands left of it, never beside or right.

use super::{Breach, is_test, sources};
use crate::source;
use crate::tree::Tree;

const PRODUCT: &str = "crates/seaworthy";

/// The modules of the product from left to right; those on one line stand beside each other.
const ORDER: [&[&str]; 14] = [
    &["failure"],
    &["draft"],
    &["config", "instance", "mock"],
    &["documents", "flags", "registry", "reload"],
    &["armour", "secrets"],
    &["egress"],
    &["launch", "schemas", "views"],
    &["components"],
    &["stack"],
    &["axum", "listeners"],
    &["admin"],
    &["openapi"],
    &["run"],
    &["cli"],
];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let product = sources(tree).filter(|(folder, file, _, _)| *folder == PRODUCT && !is_test(file));
    product
        .flat_map(|(_, file, path, text)| imports(file, path, text))
        .collect()
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|level| level.contains(&module))
}

fn imports(file: &str, path: &str, text: &str) -> Vec<Breach> {
    let module = source::module(file);
    let Some(own) = module.first() else {
        return Vec::new();
    };
    let Some(at) = rank(own) else {
        let what = format!(
            "`{own}` has no place in the order of modules: give it one in xtask/src/tidy/order.rs"
        );
        return vec![Breach::new(path, what)];
    };
    let mut named: Vec<_> = source::paths(&source::code(text), &module)
        .into_iter()
        .filter_map(|path| path.into_iter().next())
        .filter(|other| other != own)
        .collect();
    named.sort();
    named.dedup();
    let wrong = named
        .iter()
        .filter(|other| rank(other).is_some_and(|other| other >= at));
    wrong
        .map(|other| {
            Breach::new(
                path,
                format!("`{own}` stands left of or beside `{other}` and must not use it"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(file: &str, text: &str) -> usize {
        imports(file, file, text).len()
    }

    #[test]
    fn imports_go_left() {
        assert_eq!(
            breaches(
                "stack.rs",
                "use crate::config::Config; use crate::components;"
            ),
            0
        );
        assert_eq!(
            breaches(
                "stack.rs",
                "use crate::listeners::x; crate::listeners::y();"
            ),
            1
        );
        assert_eq!(
            breaches("launch/mod.rs", "use crate::components::Components;"),
            1
        );
        assert_eq!(breaches("lib.rs", "use crate::cli;"), 0);
    }

    #[test]
    fn every_module_has_a_place() {
        assert_eq!(breaches("novel.rs", ""), 1);
    }
}
