//! Names say what a thing is: a bag for whatever does not fit elsewhere is refused.

use super::Breach;
use crate::source;
use crate::tree::Tree;

const FILES: [&str; 9] = [
    "utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "shared",
];
const TYPES: [&str; 4] = ["Manager", "Helper", "Helpers", "Utils"];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let files = tree.ending(".rs").filter_map(|(path, _)| file(path));
    let types = tree
        .ending(".rs")
        .flat_map(|(path, text)| types(path, text));
    files.chain(types).collect()
}

fn file(path: &str) -> Option<Breach> {
    let bag = path
        .split('/')
        .find(|part| FILES.contains(&part.trim_end_matches(".rs")))?;
    Some(Breach::new(
        path,
        format!("`{bag}` says nothing: name the noun that lives there"),
    ))
}

fn types(path: &str, text: &str) -> Vec<Breach> {
    let code = source::code(text);
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| !matches!(*word, "struct" | "enum" | "trait"));
        let name = words.nth(1).unwrap_or_default();
        let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
        if TYPES.iter().any(|bad| name.ends_with(bad)) {
            found.push(Breach::line(
                path,
                number + 1,
                format!("`{name}` says nothing: name what it does"),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_bags() {
        assert!(
            file("crates/x/src/utils.rs").is_some() && file("crates/x/src/common/a.rs").is_some()
        );
        assert_eq!(file("crates/x/src/commons.rs"), None);
        assert_eq!(
            types("a.rs", "pub(crate) struct PoolManager<T> {")[0].place,
            "a.rs:1"
        );
        assert_eq!(types("a.rs", "struct Pool; // a Manager").len(), 0);
    }
}
