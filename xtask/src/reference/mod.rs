//! What is generated: the pages of `docs/` about the configuration and the errors, and the JSON Schemas of `schemas/`.
//!
//! They are rendered from what the binary itself says (`config schema`, `explain --json`, `schema show`), so they cannot promise
//! what the program does not know. The binary is that of `SEAWORTHY_BIN`, else it is built. Prose around the tables stands
//! here as well; nothing that is generated is edited by hand.

mod errors;
mod keys;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// A file, what it is made from, and how.
struct Page {
    path: String,
    arguments: Vec<String>,
    render: fn(&Value) -> anyhow::Result<String>,
}

impl Page {
    fn new(path: &str, arguments: &[&str], render: fn(&Value) -> anyhow::Result<String>) -> Self {
        Self {
            path: path.to_owned(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            render,
        }
    }
}

/// Everything that is generated.
fn pages(root: &Path) -> anyhow::Result<Vec<Page>> {
    let mut pages = vec![
        Page::new("docs/configuration.md", &["config", "schema"], keys::render),
        Page::new("docs/errors.md", &["explain", "--json"], errors::render),
        Page::new("docs/openapi.json", &["openapi"], json),
    ];
    let schemas = ask(root, &["schema", "list", "--json"])?;
    for schema in schemas.as_array().context("no list of schemas")? {
        let text = |key: &str| schema[key].as_str().with_context(|| format!("no `{key}`"));
        pages.push(Page::new(
            text("file")?,
            &["schema", "show", text("name")?],
            json,
        ));
    }
    Ok(pages)
}

/// Writes the pages below `root`, or names those that differ when only checking.
pub(crate) fn run(root: &Path, check: bool) -> anyhow::Result<Vec<String>> {
    let mut stale = Vec::new();
    for page in pages(root)? {
        let text = (page.render)(&ask(root, &page.arguments)?)
            .with_context(|| format!("rendering {}", page.path))?;
        let file = root.join(&page.path);
        if std::fs::read_to_string(&file).ok().as_ref() == Some(&text) {
            continue;
        }
        if !check {
            let folder = file.parent().context("a page stands in a folder")?;
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(&file, text))
                .with_context(|| format!("writing {}", page.path))?;
        }
        stale.push(page.path);
    }
    Ok(stale)
}

/// A document as it is.
fn json(document: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// What the binary answers, as JSON.
fn ask(root: &Path, arguments: &[impl AsRef<str>]) -> anyhow::Result<Value> {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    let mut command = match std::env::var_os("SEAWORTHY_BIN") {
        Some(binary) => Command::new(binary),
        None => {
            let mut cargo = Command::new("cargo");
            cargo.args(["run", "--quiet", "--locked", "--package", "seaworthy", "--"]);
            cargo
        }
    };
    let output = command
        .args(&arguments)
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
