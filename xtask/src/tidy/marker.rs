//! Nothing is left for later in silence: unfinished work is an issue, not a comment, and no test is switched off.

use super::Breach;
use crate::tree::Tree;

/// Split, so that this file does not refuse itself.
const MARKERS: [(&str, &str); 6] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ign", "ore"),
];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let files = tree.files.iter().filter(|(path, _)| is_code(path));
    files.flat_map(|(path, text)| marked(path, text)).collect()
}

fn is_code(path: &str) -> bool {
    let script = path.starts_with("scripts/") || path.starts_with(".ci/");
    script
        || [".rs", ".py", ".js", ".toml", ".yaml", ".yml"]
            .iter()
            .any(|suffix| path.ends_with(suffix))
}

fn marked(path: &str, text: &str) -> Vec<Breach> {
    let markers = MARKERS.map(|(start, end)| format!("{start}{end}"));
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let here = markers
            .iter()
            .filter(|marker| line.contains(marker.as_str()));
        found.extend(here.map(|marker| {
            Breach::line(
                path,
                number + 1,
                format!("`{marker}`: finish it or file it"),
            )
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_marker() {
        for (start, end) in MARKERS {
            let text = format!("fine\n// {start}{end} later");
            assert_eq!(marked("a.rs", &text)[0].place, "a.rs:2");
        }
        assert!(marked("a.rs", "a to-do list").is_empty());
    }

    #[test]
    fn prose_may_speak_of_them() {
        assert!(
            is_code("scripts/test") && is_code("crates/x/src/a.rs") && !is_code("CONTRIBUTING.md")
        );
    }
}
