//! A running command and all that it starts, which end together.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// Keeps whoever else reaps the children of this process away from the one that `start` starts, for as long as the result
/// lives. `start` gives its pid.
pub type Exempting =
    dyn Fn(&mut dyn FnMut() -> io::Result<u32>) -> io::Result<Box<dyn Send>> + Send + Sync;

static EXEMPTING: OnceLock<Box<Exempting>> = OnceLock::new();

/// Says once how such commands are kept from a reaper of orphans in this process. Zombies belong to the process, and so
/// does this. A second call changes nothing.
pub fn exempt_with(
    exempting: impl Fn(&mut dyn FnMut() -> io::Result<u32>) -> io::Result<Box<dyn Send>>
    + Send
    + Sync
    + 'static,
) {
    EXEMPTING.get_or_init(|| Box::new(exempting));
}

/// A running command with all that it has started. Dropping it kills them.
pub struct Group {
    child: Child,
    /// Until the command is reaped: its number cannot be anybody else's then.
    leader: Option<Pid>,
    _exempt: Option<Box<dyn Send>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Group").field(&self.leader).finish()
    }
}

impl Group {
    /// Starts `command` at the head of a group of its own. It gets no input, and of what it says only its output is kept.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = None;
        let mut start = || -> io::Result<u32> {
            let started = command.spawn()?;
            let pid = started.id().ok_or(io::ErrorKind::Other)?;
            child = Some(started);
            Ok(pid)
        };
        let (pid, exempt) = match EXEMPTING.get() {
            None => (start()?, None),
            Some(exempting) => {
                let mut pid = 0;
                let guard = exempting(&mut || {
                    pid = start()?;
                    Ok(pid)
                })?;
                (pid, Some(guard))
            }
        };
        Ok(Self {
            child: child.ok_or(io::ErrorKind::Other)?,
            leader: Pid::from_raw(pid.cast_signed()),
            _exempt: exempt,
        })
    }

    /// What it has printed, and how it ended. With more than `most` bytes it is killed, and one byte more shows it.
    ///
    /// # Errors
    /// When that cannot be told.
    pub async fn end(mut self, most: usize) -> io::Result<(Vec<u8>, ExitStatus)> {
        let mut output = Vec::new();
        if let Some(stdout) = self.child.stdout.take() {
            let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
            stdout.take(bound).read_to_end(&mut output).await?;
            if output.len() > most {
                self.kill();
            }
        }
        let status = self.child.wait().await?;
        // Reaped. What it has left in the background, with its output closed, is meant to stay.
        self.leader = None;
        Ok((output, status))
    }

    fn kill(&self) {
        if let Some(leader) = self.leader {
            // It may have ended already, which is what is wanted.
            kill_process_group(leader, Signal::KILL).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
