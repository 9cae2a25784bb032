//! Files stay small enough to be read at once, and say what they are first.

use super::{Breach, is_test, sources};
use crate::source;
use crate::tree::Tree;

const LIMIT: usize = 600;

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let long = tree
        .ending(".rs")
        .filter_map(|(path, text)| too_long(path, text));
    let silent = sources(tree).filter_map(|(_, file, path, text)| undocumented(file, path, text));
    long.chain(silent).collect()
}

fn too_long(path: &str, text: &str) -> Option<Breach> {
    let lines = source::production(text).lines().count();
    let what = || format!("{lines} lines before its tests, {LIMIT} at most: split it by noun");
    (lines > LIMIT).then(|| Breach::new(path, what()))
}

fn undocumented(file: &str, path: &str, text: &str) -> Option<Breach> {
    let silent = !is_test(file) && !text.starts_with("//!");
    silent.then(|| {
        Breach::new(
            path,
            "does not begin with `//!`: what it is, why this way, what it will not do",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count_towards_the_limit() {
        let tests = "#[cfg(test)]\nmod tests {}\n";
        let most = "x\n".repeat(LIMIT) + tests;
        assert_eq!(too_long("a.rs", &most), None);
        assert!(too_long("a.rs", &("x\n".repeat(LIMIT + 1) + tests)).is_some());
    }

    #[test]
    fn modules_say_what_they_are() {
        assert_eq!(undocumented("a.rs", "a.rs", "//! A."), None);
        assert!(undocumented("a.rs", "a.rs", "mod b;").is_some());
        assert_eq!(
            undocumented("a/tests.rs", "a/tests.rs", "use super::*;"),
            None
        );
    }
}
