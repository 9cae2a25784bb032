//! Every row of `docs/failure-modes.md` names a test that exists, or says `open`.
//!
//! The test is the last cell. What counts as one is said in [`super::traceability`].

use super::{Breach, traceability};
use crate::tree::Tree;

const TABLE: &str = "docs/failure-modes.md";

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let Some(text) = tree.files.get(TABLE) else {
        return vec![Breach::new(TABLE, "is missing: each failure needs its row")];
    };
    let mut found = Vec::new();
    let mut rows = 0;
    for (number, line) in text.lines().enumerate() {
        let Some(cell) = last_cell(line) else {
            continue;
        };
        rows += 1;
        for what in traceability::faults(tree, cell) {
            found.push(Breach::line(TABLE, number + 1, what));
        }
    }
    if rows == 0 {
        found.push(Breach::new(TABLE, "has no rows that end in a test"));
    }
    found
}

/// The last cell of a row; nothing for other lines, heads and rules.
fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cell = row.rsplit('|').next()?.trim();
    let is_rule = row.chars().all(|c| matches!(c, '-' | '|' | ' '));
    (!is_rule && cell != "test").then_some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(cell: &str) -> usize {
        let table = format!("| failure | test |\n|---|---|\n| it breaks | {cell} |\n");
        check(&Tree::of(&[(TABLE, &table), ("a/b.rs", "fn holds() {}")])).len()
    }

    #[test]
    fn each_row_ends_in_a_test_that_exists() {
        assert_eq!(breaches("`a/b.rs::holds`"), 0);
        assert_eq!(breaches("open"), 0);
        assert_eq!(breaches("`a/b.rs::falls`"), 1);
        assert_eq!(breaches(""), 1);
        assert_eq!(check(&Tree::of(&[(TABLE, "# Nothing")])).len(), 1);
    }
}
