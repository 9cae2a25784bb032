//! Repository rules as code: what a compiler cannot refuse and a reviewer forgets.
//!
//! `cargo xtask tidy` reads the tree and prints every breach at once; it changes nothing and needs no network.

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
        _ => bail!("usage: cargo xtask tidy"),
    }
}

fn tidy() -> anyhow::Result<ExitCode> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let tree = tree::Tree::read(root.context("xtask sits in the repository")?)?;
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
