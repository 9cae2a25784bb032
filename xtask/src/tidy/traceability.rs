//! Every row of `docs/traceability.md` names a test that exists.
//!
//! The table is `| row | test | note |`. A test is `FILE.rs::NAME` (a path or the end of one, modules between are
//! ignored), a file that is itself the proof (`scripts/coverage`), or the word `open`; `waits` may stand beside. Several
//! are separated by commas.

use super::Breach;
use crate::tree::Tree;

const TABLE: &str = "docs/traceability.md";

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let Some(text) = tree.files.get(TABLE) else {
        return vec![Breach::new(
            TABLE,
            "is missing: each requirement needs its row",
        )];
    };
    let mut seen: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((row, tests)) = row(line) else {
            continue;
        };
        let breach = |what: String| Breach::line(TABLE, number + 1, what);
        if seen.contains(&row) {
            found.push(breach(format!("the row {row} stands twice")));
        }
        seen.push(row);
        let faults = faults(tree, tests);
        found.extend(
            faults
                .into_iter()
                .map(|what| breach(format!("the row {row}: {what}"))),
        );
    }
    if seen.is_empty() {
        found.push(Breach::new(TABLE, "has no rows: `| row | test | note |`"));
    }
    found
}

/// What is wrong with a cell that should name tests.
pub(super) fn faults(tree: &Tree, cell: &str) -> Vec<String> {
    let words = entries(cell);
    if words.is_empty() {
        return vec!["it names no test: name one, or say `open`".to_owned()];
    }
    words
        .into_iter()
        .filter_map(|entry| broken(tree, entry))
        .collect()
}

/// The id and the test cell of a line of the table; ids look like `S1-28` or `X-05`.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.trim().strip_prefix('|')?.split('|').map(str::trim);
    let id = cells.next()?.trim_matches('`');
    let (kind, number) = id.split_once('-')?;
    let is_id = kind.starts_with(|c: char| c.is_ascii_uppercase())
        && number.starts_with(|c: char| c.is_ascii_digit());
    is_id.then_some((id, cells.next().unwrap_or_default()))
}

fn entries(cell: &str) -> Vec<&str> {
    let words = cell
        .split([',', ' ', ';'])
        .flat_map(|word| word.split("<br>"));
    words
        .map(|word| word.trim_matches('`'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// What is wrong with one entry, if anything.
fn broken(tree: &Tree, entry: &str) -> Option<String> {
    if matches!(entry, "open" | "waits") {
        return None;
    }
    let Some((file, path)) = entry.split_once(".rs::") else {
        return (!tree.has(entry))
            .then(|| format!("`{entry}` is neither FILE.rs::NAME, nor a file, nor `open`"));
    };
    let file = format!("{file}.rs");
    let name = path.rsplit("::").next().unwrap_or_default();
    let inner = format!("/{file}");
    let mut files = tree
        .files
        .iter()
        .filter(|(path, _)| **path == file || path.ends_with(&inner))
        .peekable();
    if files.peek().is_none() {
        return Some(format!("there is no file `{file}`"));
    }
    let declared = format!("fn {name}(");
    let exists = files.any(|(_, text)| text.contains(&declared));
    (!exists).then(|| format!("there is no test `{name}` in `{file}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(cell: &str) -> Vec<String> {
        let table = format!("| row | test | note |\n|---|---|---|\n| S1-28 | {cell} | n |\n");
        let files = [
            (TABLE, table.as_str()),
            ("tests/e2e/launch.rs", "#[test]\nfn starts() {}"),
            ("scripts/coverage", ""),
        ];
        check(&Tree::of(&files))
            .into_iter()
            .map(|breach| breach.what)
            .collect()
    }

    #[test]
    fn accepts_what_exists() {
        for cell in [
            "tests/e2e/launch.rs::starts",
            "`launch.rs::real::starts`, open waits",
            "open",
            "scripts/coverage",
            "e2e/launch.rs::starts<br>`scripts`",
        ] {
            assert_eq!(breaches(cell), Vec::<String>::new(), "{cell}");
        }
    }

    #[test]
    fn refuses_what_does_not() {
        for cell in [
            "launch.rs::stops",
            "unch.rs::starts",
            "later",
            "",
            "scripts/none",
        ] {
            assert_eq!(breaches(cell).len(), 1, "{cell}");
        }
    }

    #[test]
    fn refuses_repeats_and_emptiness() {
        let table = "| S1-28 | open | |\n| S1-28 | open | |\n";
        assert_eq!(check(&Tree::of(&[(TABLE, table)])).len(), 1);
        assert_eq!(check(&Tree::of(&[(TABLE, "| row | test |")])).len(), 1);
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
