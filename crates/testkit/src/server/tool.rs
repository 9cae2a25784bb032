//! Programs that tests call: load generators, conformance suites, peers.
//!
//! `scripts/test` installs them; a test that finds one missing fails and says so, because a skipped test proves nothing.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use crate::process::Group;
use crate::wait::PATIENCE;

/// The path of `name`: in the fixtures' own folder, else on `PATH`.
///
/// # Errors
/// When it is not installed.
pub fn find(name: &str) -> crate::Result<PathBuf> {
    let own = crate::binary::target().join("fixtures/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&path));
    // Debian keeps servers where a user's PATH may not look.
    let folders = folders.chain([PathBuf::from("/usr/sbin")]);
    match search(name, folders) {
        Some(path) => Ok(path),
        None => bail!("{name} is not installed; `scripts/tools` installs what tests need"),
    }
}

fn search(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs `name` with `words` to its end.
///
/// # Errors
/// When it is not installed, is still running after `patience`, or cannot be started.
pub async fn run(
    name: &str,
    words: &[&str],
    patience: std::time::Duration,
) -> crate::Result<Output> {
    let mut command = Command::new(find(name)?);
    command.args(words).kill_on_drop(true);
    let output = async {
        command
            .output()
            .await
            .with_context(|| format!("running {name}"))
    };
    crate::wait::within(&format!("the end of {name}"), patience, output).await
}

/// Runs `command` to its end, which has to be a good one, and returns what it printed.
pub(super) async fn printed(command: Command) -> crate::Result<String> {
    let name = command.as_std().get_program().display().to_string();
    let ended = Group::start(&name, command)?.ended(PATIENCE * 6).await?;
    ensure!(
        ended.status.success(),
        "{name} failed:\n{}{}",
        ended.stdout,
        ended.stderr
    );
    Ok(ended.stdout.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finds_and_runs_a_program() {
        let output = run("sh", &["-c", "echo $0-$1", "a", "b"], crate::wait::PATIENCE)
            .await
            .unwrap();
        assert_eq!(output.stdout, b"a-b\n");
    }

    #[test]
    fn says_what_is_missing() {
        let error = find("no-such-program-here").unwrap_err().to_string();
        assert!(
            error.contains("no-such-program-here is not installed"),
            "{error}"
        );
    }

    #[test]
    fn takes_only_what_can_run() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("wrk"), "").unwrap();
        assert_eq!(
            search("wrk", [folder.path().to_path_buf()].into_iter()),
            None
        );
    }
}
