//! A server that a test starts, pauses, stops and starts again at the same address.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::process::{Group, Output, Signal};
use crate::wait;

/// How long a server of the heavy kind may take to come up on a busy machine.
const START: Duration = Duration::from_secs(120);

/// A server with the command that starts it.
pub struct Launched {
    name: &'static str,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    group: Option<Group>,
}

impl std::fmt::Debug for Launched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launched")
            .field("name", &self.name)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl Launched {
    /// What `command` would start; nothing runs yet.
    pub fn new(name: &'static str, command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self {
            name,
            command: Box::new(command),
            group: None,
        }
    }

    /// Starts it and waits until `answers`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in time.
    pub async fn start<A: Future<Output = bool>>(
        &mut self,
        answers: impl Fn(&Output) -> A,
    ) -> crate::Result<()> {
        let mut group = Group::start(self.name, (self.command)())?;
        wait::until(&format!("{} to answer", self.name), START, || {
            let ended = group.has_ended();
            let asked = answers(group.output());
            async move { (ended || asked.await).then_some(()) }
        })
        .await
        .with_context(|| group.output().stdout())?;
        ensure!(
            !group.has_ended(),
            "{} ended:\n{}{}",
            self.name,
            group.output().stdout(),
            group.output().stderr()
        );
        self.group = Some(group);
        Ok(())
    }

    /// Its processes.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn group(&self) -> crate::Result<&Group> {
        self.group
            .as_ref()
            .with_context(|| format!("{} is stopped", self.name))
    }

    /// Stops it in the middle of whatever it does, and waits until it stands: connections stay and nothing answers.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn pause(&self) -> crate::Result<()> {
        let group = self.group()?;
        group.signal_group(Signal::STOP)?;
        let pids: Vec<u32> = std::iter::once(group.pid())
            .chain(group.descendants().into_iter().map(|process| process.pid))
            .collect();
        wait::holds("its threads to stand", wait::PATIENCE, || {
            pids.iter().all(|pid| stands(*pid))
        })
        .await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> crate::Result<()> {
        self.group()?.signal_group(Signal::CONT)
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> crate::Result<()> {
        let Some(mut group) = self.group.take() else {
            return Ok(());
        };
        group.signal_group(Signal::KILL)?;
        group.wait(START).await.map(drop)
    }
}

/// Whether no thread of the process `pid` runs. A signal stops each thread only when it comes across it.
fn stands(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    let states = threads.flatten().filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next())
    });
    // A descendant in a group of its own was not asked to stand; what waits for nothing but us does not matter.
    states.into_iter().all(|state| "TtZSX".contains(state))
}

/// Runs a client of a server to its end and returns what it printed.
///
/// # Errors
/// When it fails or does not end.
pub(super) async fn printed(mut command: Command, what: &str) -> crate::Result<String> {
    let output = wait::within(what, START, async {
        command.output().await.context("starting it")
    })
    .await?;
    ensure!(
        output.status.success(),
        "{what} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
