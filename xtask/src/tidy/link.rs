//! Relative links in Markdown lead somewhere.

use super::Breach;
use crate::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let mut found = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, target) in links(text) {
            if resolve(path, target).is_none_or(|file| !tree.has(&file)) {
                found.push(Breach::line(
                    path,
                    line,
                    format!("the link to `{target}` leads nowhere"),
                ));
            }
        }
    }
    found
}

/// The relative targets of `[text](target)` and `[label]: target` outside code, with their line numbers.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        let prose = line.split('`').step_by(2);
        let inline = prose
            .flat_map(|piece| piece.split("](").skip(1))
            .filter_map(|rest| rest.split(')').next());
        let label = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "))
            .map(|(_, target)| target);
        let targets = inline
            .chain(label)
            .filter_map(|target| target.split_whitespace().next());
        found.extend(
            targets
                .filter(|target| is_relative(target))
                .map(|target| (number + 1, target)),
        );
    }
    found
}

fn is_relative(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('#')
}

/// The path from the root that `target` means in the file `from`; `None` when it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        from.split('/').collect()
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_links_outside_code() {
        let text = "see [a](docs/a.md#b) and [w](https://x.y) `[c](no)`\n```\n[d](no)\n```\n[e]: f.md \"t\"\n[g](#h)";
        assert_eq!(links(text), [(1, "docs/a.md#b"), (5, "f.md")]);
    }

    #[test]
    fn a_dead_link_is_a_breach() {
        let tree = Tree::of(&[
            ("docs/a.md", "[r](../README.md) [x](b.md) [d](.)"),
            ("README.md", "[up](../out.md)"),
        ]);
        let places: Vec<_> = check(&tree)
            .into_iter()
            .map(|breach| breach.place)
            .collect();
        assert_eq!(places, ["README.md:1", "docs/a.md:1"]);
    }
}
