//! The rules, one per file. Each reads the tree and returns its breaches.

mod arrow;
mod cycle;
mod failure;
mod link;
mod marker;
mod name;
mod order;
mod purity;
mod size;
mod telling;
mod traceability;

use std::fmt;

use crate::tree::Tree;

/// A broken rule: where, what, and how to mend it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    /// A path, with a line when one is to blame.
    place: String,
    /// What is wrong and what to do.
    what: String,
}

impl Breach {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }

    fn line(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), what)
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Every breach of every rule.
pub(crate) fn all(tree: &Tree) -> Vec<Breach> {
    let rules = [
        arrow::check,
        cycle::check,
        order::check,
        purity::check,
        size::check,
        name::check,
        marker::check,
        telling::check,
        traceability::check,
        failure::check,
        link::check,
    ];
    rules.iter().flat_map(|rule| rule(tree)).collect()
}

/// The crates by their folder, with the files below `src`: (folder, path below src, path, text).
fn sources(tree: &Tree) -> impl Iterator<Item = (&str, &str, &str, &str)> {
    tree.ending(".rs").filter_map(|(path, text)| {
        let (folder, file) = path.split_once("/src/")?;
        Some((folder, file, path, text))
    })
}

/// Whether a file below `src` holds nothing but tests.
fn is_test(file: &str) -> bool {
    file.split('/')
        .any(|part| matches!(part.trim_end_matches(".rs"), "tests" | "test"))
}
