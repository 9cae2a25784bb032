//! The Python environment of the fixtures.
//!
//! `scripts/venv` makes it, once per content of `tests/fixtures/requirements.txt`; this only asks where it is, so that
//! there is one recipe for people, CI and tests.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};

/// A program of the environment, such as `python` or `uvicorn`.
///
/// # Errors
/// When the environment cannot be made, or lacks the program.
pub fn python(program: &str) -> crate::Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    let folder = folder
        .as_ref()
        .map_err(|error| anyhow::anyhow!(error.clone()))?;
    let path = folder.join("bin").join(program);
    ensure!(
        path.is_file(),
        "{} is missing; is it in tests/fixtures/requirements.txt?",
        path.display()
    );
    Ok(path)
}

fn make() -> crate::Result<PathBuf> {
    let fixtures = crate::binary::target().join("fixtures");
    std::fs::create_dir_all(&fixtures)?;
    // Test programs run side by side and must not install into one folder at once.
    let lock = File::create(fixtures.join("lock"))?;
    lock.lock()?;
    let script = crate::root().join("scripts/venv");
    let output = Command::new(&script)
        .output()
        .with_context(|| format!("running {}", script.display()))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed:\n{error}",
        script.display()
    );
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
