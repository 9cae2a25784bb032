//! The binary under test.
//!
//! Each instance has a folder of its own for state and configuration, listens on ports that the system chose, and is
//! known by the `instance.json` that it writes once it listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::{Ended, Group, Instance, Output, Usage};
use crate::address::Address;
use crate::wait::{self, PATIENCE};
use crate::{binary, client};

/// How to start the binary.
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    under: Vec<String>,
    flags: Vec<String>,
    env: Vec<(String, String)>,
    app: Vec<String>,
    config: Option<String>,
    listen: Option<String>,
    admin: Option<String>,
    folder: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl Builder {
    /// The text of `seaworthy.yaml`.
    pub fn config(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.to_owned());
        self
    }

    /// `--set KEY=VALUE`.
    pub fn set(self, key: &str, value: impl std::fmt::Display) -> Self {
        self.flag("--set").flag(&format!("{key}={value}"))
    }

    /// One more word before the app's command.
    pub fn flag(mut self, word: &str) -> Self {
        self.flags.push(word.to_owned());
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// The app's command.
    pub fn app<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.app = words.into_iter().map(Into::into).collect();
        self
    }

    /// A server that already runs, in place of a command.
    pub fn connect(self, upstream: impl Into<Address>) -> Self {
        self.flag("--connect").flag(&upstream.into().to_string())
    }

    /// The public address; a free loopback port unless set.
    pub fn listen(mut self, address: impl std::fmt::Display) -> Self {
        self.listen = Some(address.to_string());
        self
    }

    /// The admin address, or `off`; a free loopback port unless set.
    pub fn admin(mut self, address: impl std::fmt::Display) -> Self {
        self.admin = Some(address.to_string());
        self
    }

    /// A program that starts the binary, such as `unshare --pid --fork --mount-proc`.
    pub fn under<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.under = words.into_iter().map(Into::into).collect();
        self
    }

    /// The working directory; the instance's own folder unless set.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The state folder, which another instance may have had before; one of its own unless set.
    pub fn state(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into());
        self
    }

    /// Starts `seaworthy run` and waits until it listens; the app may still be starting.
    ///
    /// # Errors
    /// When it ends or does not listen in time; the error holds what it wrote.
    pub async fn start(self) -> crate::Result<Seaworthy> {
        let home = tempfile::tempdir()?;
        let state = self
            .state
            .clone()
            .unwrap_or_else(|| home.path().join("state"));
        let command = self.command(home.path(), &state)?;
        let mut group = Group::start("seaworthy", command)?;
        let instance = wait::until("instance.json", PATIENCE, || {
            // An early end is looked at after the file: it may have been written just before.
            let found = Instance::read(&state)
                .map(Ok)
                .or_else(|| group.has_ended().then_some(Err(())));
            std::future::ready(found)
        })
        .await;
        match instance {
            Ok(Ok(instance)) => Ok(Seaworthy {
                group,
                instance,
                home,
                state,
            }),
            Ok(Err(())) => anyhow::bail!(
                "seaworthy ended before it listened:\n{}",
                group.output().tail()
            ),
            Err(late) => Err(late.context(group.output().tail())),
        }
    }

    /// Like [`start`](Self::start), then waits until `/health/ready` answers 200.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub async fn ready(self) -> crate::Result<Seaworthy> {
        let started = self.start().await?;
        started.ready(PATIENCE).await?;
        if started.instance.admin.is_some() {
            // A probe has its answer a moment before it is counted out, and must not pass for a request of the test.
            started.wait_inflight(0).await?;
        }
        Ok(started)
    }

    /// Starts `seaworthy run` and waits for its end: for configurations that must be refused and apps that end.
    ///
    /// # Errors
    /// When it is still running after `patience`.
    pub async fn end(self, patience: Duration) -> crate::Result<Ended> {
        let home = tempfile::tempdir()?;
        let state = self.state.clone();
        let state = state.unwrap_or_else(|| home.path().join("state"));
        let group = Group::start("seaworthy", self.command(home.path(), &state)?)?;
        group.ended(patience).await
    }

    fn command(self, home: &Path, state: &Path) -> crate::Result<Command> {
        let binary = binary::seaworthy()?;
        let mut words = self.under.iter();
        let mut command = match words.next() {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(&binary);
                command
            }
            None => Command::new(&binary),
        };
        command.current_dir(self.folder.as_deref().unwrap_or(home));
        // What the machine of the test happens to set must not reach the product.
        for name in [
            "PORT",
            "SEAWORTHY_ENV",
            "KUBERNETES_SERVICE_HOST",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        command.envs(self.env);
        if let Some(yaml) = self.config {
            let file = home.join("seaworthy.yaml");
            std::fs::write(&file, yaml)?;
            command.arg("--config").arg(file);
        }
        command.arg("run");
        command
            .arg("--set")
            .arg(format!("state_dir={}", state.display()));
        let free = || "127.0.0.1:0".to_owned();
        command
            .arg("--listen")
            .arg(self.listen.unwrap_or_else(free));
        command.arg("--admin").arg(self.admin.unwrap_or_else(free));
        command.args(self.flags);
        if !self.app.is_empty() {
            command.arg("--").args(self.app);
        }
        Ok(command)
    }
}

/// A running instance of the binary under test.
#[derive(Debug)]
pub struct Seaworthy {
    group: Group,
    instance: Instance,
    home: TempDir,
    state: PathBuf,
}

impl Seaworthy {
    /// Describes an instance to start.
    pub fn build() -> Builder {
        Builder::default()
    }

    /// An instance in front of `command`, with defaults for everything else.
    pub fn run<W: Into<String>>(command: impl IntoIterator<Item = W>) -> Builder {
        Builder::default().app(command)
    }

    /// Runs another verb, such as `config validate`, to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time.
    pub async fn verb<W: AsRef<std::ffi::OsStr>>(
        words: impl IntoIterator<Item = W>,
    ) -> crate::Result<Ended> {
        let mut command = Command::new(binary::seaworthy()?);
        command.args(words);
        Group::start("seaworthy", command)?.ended(PATIENCE).await
    }

    /// Where it serves traffic.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.instance.public
    }

    /// Where it is steered.
    ///
    /// # Errors
    /// When the admin listener is off.
    pub fn admin(&self) -> crate::Result<Address> {
        self.instance
            .admin
            .clone()
            .context("the admin listener is off")
    }

    /// What it said about itself.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The process id of the program that was started (of the wrapper, when there is one).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// Its own folder, with `state/` inside.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone()
    }

    /// What it and its app have written so far.
    #[must_use]
    pub fn output(&self) -> &Output {
        self.group.output()
    }

    /// Its process with all below it.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// What its process holds now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> crate::Result<Usage> {
        Usage::of(self.pid())
    }

    /// Waits until `/health/ready` answers 200.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn ready(&self, patience: Duration) -> crate::Result<()> {
        let public = self.public();
        wait::until("an open /health/ready", patience, || async move {
            let answer = client::get(public, "/health/ready").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await
    }

    /// Waits for the first log record of the event `name`.
    ///
    /// # Errors
    /// When none came in time.
    pub async fn wait_event(&self, name: &str) -> crate::Result<Value> {
        let mut found = self.wait_events(name, 1, PATIENCE).await?;
        Ok(found.swap_remove(0))
    }

    /// Waits until the event `name` was logged `count` times.
    ///
    /// # Errors
    /// When fewer came in time.
    pub async fn wait_events(
        &self,
        name: &str,
        count: usize,
        patience: Duration,
    ) -> crate::Result<Vec<Value>> {
        wait::until(&format!("{count} x the event {name}"), patience, || {
            let events = self.output().events(name);
            std::future::ready((events.len() >= count).then_some(events))
        })
        .await
    }

    /// Sends a signal to it alone.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> crate::Result<()> {
        self.group.signal(signal)
    }

    /// Asks it to stop, as an orchestrator does.
    ///
    /// # Errors
    /// When it has ended.
    pub fn terminate(&self) -> crate::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it is still running after `patience`.
    pub async fn wait(&mut self, patience: Duration) -> crate::Result<ExitStatus> {
        self.group.wait(patience).await
    }

    /// Asks it to stop and returns its exit code (128 plus the signal when it was killed).
    ///
    /// # Errors
    /// When it is still running after `patience`.
    pub async fn stop(&mut self, patience: Duration) -> crate::Result<i32> {
        self.terminate()?;
        self.code(patience).await
    }

    /// Waits for its end and returns its exit code (128 plus the signal when it was killed).
    ///
    /// # Errors
    /// When it is still running after `patience`.
    pub async fn code(&mut self, patience: Duration) -> crate::Result<i32> {
        Ok(super::group::code(self.wait(patience).await?))
    }
}
