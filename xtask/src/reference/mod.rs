//! The generated pages of `docs/`: the keys of the configuration and the errors.
//!
//! They are rendered from what the binary itself says (`config schema`, `explain --json`), so a page cannot promise what
//! the program does not know. The binary is that of `SEAWORTHY_BIN`, else it is built. Prose around the tables stands
//! here as well; nothing in a generated page is edited by hand.

mod errors;
mod keys;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// A page, what it is made from, and how.
struct Page {
    path: &'static str,
    arguments: &'static [&'static str],
    render: fn(&Value) -> anyhow::Result<String>,
}

const PAGES: [Page; 2] = [
    Page {
        path: "docs/configuration.md",
        arguments: &["config", "schema"],
        render: keys::render,
    },
    Page {
        path: "docs/errors.md",
        arguments: &["explain", "--json"],
        render: errors::render,
    },
];

/// Writes the pages below `root`, or names those that differ when only checking.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<Vec<&'static str>> {
    let mut stale = Vec::new();
    for page in PAGES {
        let text = (page.render)(&ask(root, page.arguments)?)
            .with_context(|| format!("rendering {}", page.path))?;
        let file = root.join(page.path);
        if std::fs::read_to_string(&file).ok().as_ref() == Some(&text) {
            continue;
        }
        stale.push(page.path);
        if !check {
            std::fs::write(&file, text).with_context(|| format!("writing {}", page.path))?;
        }
    }
    Ok(stale)
}

/// What the binary answers, as JSON.
fn ask(root: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let mut command = match std::env::var_os("SEAWORTHY_BIN") {
        Some(binary) => Command::new(binary),
        None => {
            let mut cargo = Command::new("cargo");
            cargo.args(["run", "--quiet", "--locked", "--package", "seaworthy", "--"]);
            cargo
        }
    };
    let output = command
        .args(arguments)
        .current_dir(root)
        .output()
        .context("starting seaworthy: build it, or name it in SEAWORTHY_BIN")?;
    ensure!(
        output.status.success(),
        "seaworthy {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("its answer is no JSON")
}

/// Text for a cell of a table: one line, no cell end.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
