//! A process that is killed in the middle of a change while it serves.

use seaworthy_testkit::Result;
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::{App, Server};
use seaworthy_testkit::wait::{self, PATIENCE};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::documents::real::{shown, write};

/// With strace, which kills at a chosen system call.
mod real {
    use super::*;
    use crate::versions::real::kept;

    /// Calls of one kind that are tried; a reload makes fewer of most.
    const MOST: u32 = 20;

    /// Writes another version of the documents and of the configuration.
    fn say(home: &TempDir, version: u32) -> Result<()> {
        let yaml = format!(
            "documents: [{{name: adapters, glob: configs/adapters/*.yaml, render: run/adapters}}]\n\
             headers: {{set: {{X-N: '{version}'}}}}\nconfig: {{history: 5}}\n"
        );
        std::fs::write(home.path().join("seaworthy.yaml"), yaml)?;
        write(home.path(), version)
    }

    async fn start(home: &TempDir, mock: &Server) -> Result<Seaworthy> {
        let builder = Seaworthy::build().current_dir(home.path());
        let builder = builder.state(home.path().join("state"));
        builder.connect(mock.address).ready().await
    }

    /// Has every thread of a running process watched, and the process killed at the call of that number.
    async fn lurk(seaworthy: &Seaworthy, call: &str, nth: u32) -> Result<Child> {
        let pid = seaworthy.pid();
        let inject = format!("inject=/^{call}(at|at2)?$:signal=SIGKILL:when={nth}");
        let strace = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &inject,
                "-p",
                &pid.to_string(),
            ])
            .kill_on_drop(true)
            .spawn()?;
        let watched = || async move {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            let is_watched = |task: std::io::Result<std::fs::DirEntry>| {
                let status =
                    task.and_then(|task| std::fs::read_to_string(task.path().join("status")));
                status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
            };
            tasks.into_iter().all(is_watched).then_some(())
        };
        wait::until("strace", PATIENCE, watched).await?;
        Ok(strace)
    }

    #[tokio::test]
    async fn a_kill_at_any_step_of_a_reload_leaves_the_old_or_the_new() -> Result<()> {
        let mock = App::Mock.start().await?;
        let home = tempfile::tempdir()?;
        std::fs::create_dir_all(home.path().join("configs/adapters"))?;
        let history = home.path().join("state/history.db");
        let mut version = 1;
        say(&home, version)?;
        start(&home, &mock).await?.stop(PATIENCE).await?;
        let (mut kills, mut reloads) = (0, 0);
        for call in [
            "write",
            "pwrite64",
            "fsync",
            "fdatasync",
            "rename",
            "symlink",
            "unlink",
            "mkdir",
        ] {
            // Until the reload makes no more calls of this kind.
            for nth in 1..=MOST {
                let mut seaworthy = start(&home, &mock).await?;
                let (old, _) = shown(home.path())?;
                let before = kept(&history).await?;
                let mut strace = lurk(&seaworthy, call, nth).await?;
                version += 1;
                say(&home, version)?;
                let answer = seaworthy.steer_with("POST", "/-/config/reload", "").await;
                reloads += 1;
                let is_killed = answer.is_err();
                if is_killed {
                    assert_eq!(seaworthy.code(PATIENCE).await?, 137, "{call} {nth}");
                    kills += 1;
                    // It still names the one that is gone, whom the test would ask.
                    std::fs::remove_file(home.path().join("state/instance.json"))?;
                }
                let (now, same) = shown(home.path())?;
                let new = version.to_string();
                assert!(same, "a mixture after {call} {nth}");
                assert!(
                    [&old, &new].contains(&&now),
                    "{now} after {call} {nth}: neither {old} nor {new}"
                );
                let after = kept(&history).await?;
                let has_new = after.last().is_some_and(|(_, _, said)| *said == new);
                assert!(
                    has_new || before == after,
                    "neither old nor new after {call} {nth}"
                );
                strace.start_kill()?;
                strace.wait().await?;
                if !is_killed {
                    seaworthy.stop(PATIENCE).await?;
                    break;
                }
            }
        }
        println!("{kills} kills in {reloads} reloads");
        assert!(kills >= 20, "{kills}");
        Ok(())
    }
}
