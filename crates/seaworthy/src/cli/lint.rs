//! `seaworthy config lint-secrets`: secrets that are written into files.
//!
//! Nothing of what is found is printed but its place: the report may go where the file must not.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use seaworthy_config::secrets::too_open;
use seaworthy_config::{Format, RawSecret, lint};
use serde_json::json;

use super::{FINDINGS, FINE, Global, files, output};
use crate::config::{Config, Options, read, shown};

/// Looks at `files`, or at those of the configuration. The result is the exit code.
pub(super) fn execute(global: &Global, options: &Options, files: &[PathBuf]) -> anyhow::Result<u8> {
    let odd = odd(options, files.first().map(PathBuf::as_path));
    let files = files::chosen(options, files)?;
    let mut found = Vec::new();
    for file in &files {
        let name = shown(file, &options.cwd);
        found.extend(lint(&name, &read(file)?, Format::of(file))?);
    }
    for what in &odd {
        output::talk(&format!("warning: {what}"));
    }
    let fine = found.is_empty();
    if global.json {
        output::json(&json!({"ok": fine, "findings": found, "warnings": odd}));
    } else if fine {
        let names = files.iter().map(|file| shown(file, &options.cwd));
        let names: Vec<_> = names.collect();
        output::data(&format!("{}: no secrets", names.join(", ")));
    } else {
        let lines: Vec<String> = found.iter().map(line).collect();
        output::data(&lines.join("\n"));
        output::talk(
            "keep them where secrets are kept, name them under `secrets`, and write `${secret:NAME}` in their place; what was once in a repository has to be made anew",
        );
    }
    Ok(if fine { FINE } else { FINDINGS })
}

fn line(found: &RawSecret) -> String {
    let RawSecret {
        file,
        line,
        column,
        key,
        looks_like,
    } = found;
    format!("{file}:{line}:{column}: {key}: {looks_like}")
}

/// Files of secrets that more people can use than should, if this is a configuration of ours.
fn odd(options: &Options, file: Option<&Path>) -> Vec<String> {
    let mut options = options.clone();
    options.file = file.map(Path::to_owned).or(options.file);
    let Ok(loaded) = Config::load(&options) else {
        return Vec::new();
    };
    let all = loaded.value.secrets.values();
    let files = all.filter_map(|one| Some(options.cwd.join(one.file.as_ref()?)));
    files
        .filter_map(|file| too_open(&file, file.metadata().ok()?.mode()))
        .collect()
}
