//! Other processes of this machine by their number: alive, asked to stop, gone.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// How often it is asked. Waiting for readiness instead would need unsafe code, and a stop takes longer than this anyway.
const POLL: Duration = Duration::from_millis(50);

/// A process that is watched until it is gone. On Linux it holds a descriptor, so a reused number does not mislead it.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    #[cfg(target_os = "linux")]
    descriptor: Option<std::os::fd::OwnedFd>,
}

impl Watched {
    /// Begins to watch; `None` when there is no such process.
    pub fn open(pid: u32) -> Option<Self> {
        #[cfg(target_os = "linux")]
        let descriptor = match rustix::process::pidfd_open(
            number(pid)?,
            rustix::process::PidfdFlags::NONBLOCK,
        ) {
            Err(Errno::SRCH) => return None,
            descriptor => descriptor.ok(),
        };
        is_alive(pid).then_some(Self {
            pid,
            #[cfg(target_os = "linux")]
            descriptor,
        })
    }

    /// Waits until the process has ended, whether or not its parent has taken note.
    ///
    /// # Errors
    /// When the system will not say.
    pub async fn gone(self) -> io::Result<()> {
        while !self.has_ended()? {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn has_ended(&self) -> io::Result<bool> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let Some(descriptor) = &self.descriptor else {
            return Ok(!is_alive(self.pid));
        };
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        Ok(poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&now))? > 0)
    }

    #[cfg(not(target_os = "linux"))]
    fn has_ended(&self) -> io::Result<bool> {
        Ok(!is_alive(self.pid))
    }
}

/// Whether there is such a process, ours or not.
pub fn is_alive(pid: u32) -> bool {
    let Some(pid) = number(pid) else { return false };
    matches!(
        rustix::process::test_kill_process(pid),
        Ok(()) | Err(Errno::PERM)
    )
}

/// Asks a process to stop, with SIGTERM.
///
/// # Errors
/// When it is gone or not ours.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = number(pid).ok_or(Errno::SRCH)?;
    Ok(rustix::process::kill_process(pid, Signal::TERM)?)
}

fn number(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_watched_until_it_has_ended_even_unreaped() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let watched = Watched::open(child.id()).unwrap();
        assert!(is_alive(child.id()));
        terminate(child.id()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), watched.gone())
            .await
            .unwrap()
            .unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(!is_alive(child.id()));
    }

    #[test]
    fn numbers_that_are_none_are_not_alive() {
        assert!(!is_alive(0));
        assert!(!is_alive(u32::MAX));
        assert!(Watched::open(u32::MAX).is_none());
    }
}
