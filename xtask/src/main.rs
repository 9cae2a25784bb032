//! Repository rules as code: what a compiler cannot refuse and a reviewer forgets.
//!
//! `cargo xtask tidy` reads the tree and prints every breach at once; it changes nothing and needs no network.
//! `cargo xtask reference` writes what is generated (pages of `docs/`, `schemas/`), or says with `--check` that it is stale.

mod reference;
mod source;
mod tidy;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["tidy"] => tidy(),
        ["reference"] => pages(false),
        ["reference", "--check"] => pages(true),
        _ => bail!("usage: cargo xtask tidy | reference [--check]"),
    }
}

fn root() -> anyhow::Result<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.context("xtask sits in the repository")
}

fn pages(check: bool) -> anyhow::Result<ExitCode> {
    let stale = reference::run(root()?, check)?;
    for page in &stale {
        let what = if check {
            "is stale: run `cargo xtask reference`"
        } else {
            "written"
        };
        eprintln!("{page}: {what}");
    }
    Ok(if check && !stale.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn tidy() -> anyhow::Result<ExitCode> {
    let tree = tree::Tree::read(root()?)?;
    let breaches = tidy::all(&tree);
    for breach in &breaches {
        eprintln!("{breach}");
    }
    eprintln!(
        "tidy: {} files, {} breaches",
        tree.files.len(),
        breaches.len()
    );
    Ok(if breaches.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
