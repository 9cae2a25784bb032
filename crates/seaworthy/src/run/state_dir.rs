//! The folder of this instance.

use std::path::{Path, PathBuf};

use crate::config::{Config, Options};
use crate::failure::Failure;
use crate::instance::{Instance, folder};

/// The folder that the configuration names, or the one for the current folder. Two instances cannot share one.
///
/// # Errors
/// When a living instance has it, or it cannot be made for us alone.
pub(super) fn take(config: &Config, options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(chosen) = &config.state_dir {
        let chosen = options.cwd.join(chosen);
        if let Some(pid) = taken_by(&chosen) {
            let path = chosen.display();
            return Err(Failure::usage(format!(
                "{path} belongs to a running instance (pid {pid}): stop it with `seaworthy stop`, or set another state_dir"
            ))
            .into());
        }
        return prepared(chosen);
    }
    let runtime = options.env.get("XDG_RUNTIME_DIR").map(PathBuf::from);
    let usual = folder::default_for(&folder::base(runtime.as_deref()), &options.cwd);
    match taken_by(&usual) {
        None => prepared(usual),
        // Nobody asked for this folder, so a second instance is no mistake; `status` finds the first one by itself.
        Some(_) => prepared(PathBuf::from(format!(
            "{}-{}",
            usual.display(),
            std::process::id()
        ))),
    }
}

fn taken_by(folder: &Path) -> Option<u32> {
    let other = Instance::read(folder).ok()?;
    (other.pid != std::process::id() && other.is_alive()).then_some(other.pid)
}

fn prepared(folder: PathBuf) -> anyhow::Result<PathBuf> {
    folder::prepare(&folder).map_err(|error| {
        let path = folder.display();
        Failure::usage(format!("{path} cannot be the state folder: {error}; set state_dir to a folder that only this user can write"))
    })?;
    Ok(folder)
}
