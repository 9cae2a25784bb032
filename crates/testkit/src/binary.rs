//! Finds the binary under test.
//!
//! Tests never build it: `scripts/test` does, once, and says where it is.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// The path of the seaworthy binary: `SEAWORTHY_BIN`, else the one beside the running test, else the newest of the
/// `fast`, `release` and `debug` builds.
///
/// # Errors
/// When there is none; the error says how to build it.
pub fn seaworthy() -> crate::Result<PathBuf> {
    if let Some(path) = std::env::var_os("SEAWORTHY_BIN") {
        let path = PathBuf::from(path);
        if path.is_file() {
            return Ok(path);
        }
        bail!("SEAWORTHY_BIN={} is no file", path.display());
    }
    let beside = std::env::current_exe().ok().and_then(|test| beside(&test));
    let built = ["fast", "release", "debug"]
        .map(|profile| target().join(profile).join("seaworthy"))
        .into_iter()
        .filter(|path| path.is_file())
        .max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok());
    match beside.or(built) {
        Some(path) => Ok(path),
        None => bail!(
            "no seaworthy binary; build it with `cargo build --profile fast -p seaworthy` or set SEAWORTHY_BIN"
        ),
    }
}

/// The build folder of the workspace.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from)
}

/// `target/PROFILE/seaworthy` for a test at `target/PROFILE/deps/TEST`.
fn beside(test: &Path) -> Option<PathBuf> {
    let path = test.parent()?.parent()?.join("seaworthy");
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_beside_the_running_test() {
        let folder = tempfile::tempdir().unwrap();
        let deps = folder.path().join("deps");
        std::fs::create_dir(&deps).unwrap();
        assert_eq!(beside(&deps.join("e2e-1")), None);
        let binary = folder.path().join("seaworthy");
        std::fs::write(&binary, "").unwrap();
        assert_eq!(beside(&deps.join("e2e-1")), Some(binary));
    }
}
