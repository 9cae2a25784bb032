//! Public names stand in `core/src/names.rs`, and each of them is used.
//!
//! An event that is named and never told, or a metric that is never set, is a promise to somebody's dashboard that nobody
//! keeps; an event whose name is written where it is told can be misspelt in one of two places.

use super::{Breach, is_test, sources};
use crate::source;
use crate::tree::Tree;

const NAMES: &str = "crates/core/src/names.rs";

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let Some(names) = tree.files.get(NAMES) else {
        return vec![Breach::new(NAMES, "is missing: public names stand there")];
    };
    let others: Vec<(&str, &str)> = sources(tree)
        .filter(|(_, file, path, _)| {
            *path != NAMES && !is_test(file) && !path.starts_with("xtask/")
        })
        .map(|(_, _, path, text)| (path, source::production(text)))
        .collect();
    let mut found = unused(names, &others);
    for (path, text) in others {
        let lines = text.lines().enumerate();
        let literal = lines.filter(|(_, line)| line.contains("event = \""));
        found.extend(literal.map(|(number, _)| {
            let what = format!("the name of an event is a constant of {NAMES}");
            Breach::line(path, number + 1, what)
        }));
    }
    found
}

/// Names that no other file speaks of.
fn unused(names: &str, others: &[(&str, &str)]) -> Vec<Breach> {
    let mut found = Vec::new();
    for (number, line) in source::production(names).lines().enumerate() {
        let Some(name) = declared(line) else { continue };
        let used = others
            .iter()
            .any(|(_, text)| words(text).any(|word| word == name));
        if !used {
            let what = format!("{name} is never told or set: use it, or delete it");
            found.push(Breach::line(NAMES, number + 1, what));
        }
    }
    found
}

/// The name of an event or a metric that a line declares.
fn declared(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub ")?;
    let (name, kind) = rest
        .strip_prefix("const ")
        .or_else(|| rest.strip_prefix("static "))?
        .split_once(':')?;
    [" &str =", " Metric ="]
        .iter()
        .any(|known| kind.starts_with(known))
        .then_some(name)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &str = "pub mod event {\n    pub const A_B: &str = \"a.b\";\n}\npub mod metric {\n    \
                            pub static M: Metric = Metric {};\n    pub static ALL: &[&Metric] = &[&M];\n}\n";

    fn breaches(text: &str) -> Vec<String> {
        let tree = Tree::of(&[(NAMES, DECLARED), ("crates/http/src/a.rs", text)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_name_is_used_somewhere() {
        assert_eq!(breaches("f(event::A_B, &metric::M)"), [""; 0]);
        let missing = breaches("f(event::A_BC, &metric::M)");
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(missing[0].contains("A_B is never told"), "{missing:?}");
        // A test alone keeps no promise.
        assert_eq!(breaches("#[cfg(test)]\nmod tests { f(A_B, M) }").len(), 2);
    }

    #[test]
    fn names_are_not_written_where_they_are_told() {
        let found = breaches("info!(event = \"a.b\"); f(A_B, M)");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
