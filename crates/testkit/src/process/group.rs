//! A program in a process group of its own.
//!
//! Dropping the handle kills the program, its group and all its descendants, so a failed test leaves nothing behind;
//! when the test is failing, what the program wrote is printed first, because that is where the reason stands.

use std::borrow::BorrowMut;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::{Output, Process, descendants};
use crate::wait;

/// A running program with its descendants and its output.
#[derive(Debug)]
pub struct Group {
    name: String,
    child: Child,
    pid: Pid,
    output: Output,
    status: Option<ExitStatus>,
}

/// A program that has ended, with all that it wrote.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Ended {
    /// The exit code, or 128 plus the signal, as a shell would say it.
    #[must_use]
    pub fn code(&self) -> i32 {
        code(self.status)
    }
}

/// The exit code, or 128 plus the signal.
pub(super) fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

impl Group {
    /// Starts `command` as the leader of a new process group, its output kept in files.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, mut command: impl BorrowMut<Command>) -> crate::Result<Self> {
        let command = command.borrow_mut();
        let output = Output::new()?;
        command
            .stdin(Stdio::null())
            .stdout(output.stdout_file()?)
            .stderr(output.stderr_file()?)
            .process_group(0);
        let program = command.as_std().get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        Ok(Self {
            name: name.to_owned(),
            child,
            pid: pid.context("the child has no pid")?,
            output,
            status: None,
        })
    }

    /// The process id of the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// What it has written so far.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Sends `signal` to the program alone, as `docker stop` does.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> crate::Result<()> {
        rustix::process::kill_process(self.pid, signal)
            .with_context(|| format!("{} is gone", self.name))
    }

    /// Sends `signal` to the whole group, as a terminal does on Ctrl+C.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn signal_group(&self, signal: Signal) -> crate::Result<()> {
        rustix::process::kill_process_group(self.pid, signal)
            .with_context(|| format!("{} is gone", self.name))
    }

    /// Waits for the end of the program, at most for `patience`. May be asked again.
    ///
    /// # Errors
    /// When it is still running then.
    pub async fn wait(&mut self, patience: Duration) -> crate::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        let what = format!("the end of {} (pid {})", self.name, self.pid());
        let status = wait::within(&what, patience, async { Ok(self.child.wait().await?) }).await?;
        self.status = Some(status);
        Ok(status)
    }

    /// Waits for the end and returns everything that was written.
    ///
    /// # Errors
    /// When it is still running after `patience`.
    pub async fn ended(mut self, patience: Duration) -> crate::Result<Ended> {
        let status = self.wait(patience).await?;
        Ok(Ended {
            status,
            stdout: self.output.stdout(),
            stderr: self.output.stderr(),
        })
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// All running or unreaped descendants.
    #[must_use]
    pub fn descendants(&self) -> Vec<Process> {
        descendants(self.pid())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- {} (pid {}) wrote ---\n{}",
                self.name,
                self.pid(),
                self.output.tail()
            );
        }
        if self.has_ended() {
            return;
        }
        // Listed first: a server's own child sits in another group and would be lost when its parent dies.
        let below = descendants(self.pid());
        // A process that is already gone is what is wanted, so errors are nothing to tell.
        rustix::process::kill_process_group(self.pid, Signal::KILL).ok();
        for process in below {
            if let Some(pid) = Pid::from_raw(process.pid.cast_signed()) {
                rustix::process::kill_process(pid, Signal::KILL).ok();
            }
        }
        self.child.start_kill().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::PATIENCE;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn keeps_output_and_code() {
        let group = Group::start("shell", shell("echo out; echo err >&2; exit 3")).unwrap();
        let ended = group.ended(PATIENCE).await.unwrap();
        assert_eq!(
            (ended.code(), ended.stdout.as_str(), ended.stderr.as_str()),
            (3, "out\n", "err\n")
        );
    }

    #[tokio::test]
    async fn says_signals_like_a_shell() {
        let group = Group::start("shell", shell("kill -9 $$")).unwrap();
        assert_eq!(group.ended(PATIENCE).await.unwrap().code(), 137);
    }

    #[tokio::test]
    async fn dropping_it_kills_what_left_the_group() {
        let group = Group::start("shell", shell("setsid sleep 300 & wait")).unwrap();
        wait::holds("the sleeper", PATIENCE, || !group.descendants().is_empty())
            .await
            .unwrap();
        let sleeper = group.descendants()[0].pid;
        drop(group);
        wait::holds("its end", PATIENCE, || {
            Process::read(sleeper).is_none_or(|process| process.state == 'Z')
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn waiting_too_long_names_the_program() {
        let mut group = Group::start("sleeper", shell("sleep 300")).unwrap();
        let error = group.wait(Duration::from_millis(20)).await.unwrap_err();
        assert!(error.to_string().contains("sleeper"), "{error}");
    }
}
