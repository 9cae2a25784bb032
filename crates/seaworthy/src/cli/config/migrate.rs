//! `seaworthy config migrate`: writes the names of today into files that have other names for settings.

use std::path::PathBuf;

use seaworthy_config::{Format, migrate as rename};
use serde_json::json;

use super::{FINE, Global, output};
use crate::cli::{FINDINGS, files};
use crate::config::{Config, Options, read, shown};
use crate::draft::Draft;

/// Looks at `files`, or at those of the configuration. Without `write` nothing is written, and the exit code is 1 when something would be.
pub(super) fn migrate(
    global: &Global,
    options: &Options,
    files: &[PathBuf],
    write: bool,
) -> anyhow::Result<u8> {
    let files = files::chosen(options, files)?;
    let look = |file: &PathBuf| {
        let name = shown(file, &options.cwd);
        let renamed = rename::<Config>(&name, &read(file)?, Format::of(file))?;
        anyhow::Ok((name, renamed))
    };
    // All of them are read before any is written.
    let looked = files.iter().map(look).collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for (file, (name, (new, renamed))) in files.iter().zip(looked) {
        if write && !renamed.is_empty() {
            Draft::replace(file, &new)?;
        }
        found.extend(renamed.into_iter().map(|one| (name.clone(), one)));
    }
    if global.json {
        let told = found.iter().map(|(file, one)| {
            json!({"file": file, "line": one.line, "path": one.path, "from": one.from, "to": one.to})
        });
        output::json(&told.collect::<Vec<_>>());
    } else if found.is_empty() {
        output::data("all settings have their names of today");
    } else {
        for (file, one) in &found {
            output::data(&format!(
                "{file}:{}: {} is {} now ({})",
                one.line, one.from, one.to, one.path
            ));
        }
        output::talk(match write {
            true => "written; the old files stay beside them as .bak",
            false => "nothing was written; `seaworthy config migrate --write` does it",
        });
    }
    Ok(if found.is_empty() || write {
        FINE
    } else {
        FINDINGS
    })
}
