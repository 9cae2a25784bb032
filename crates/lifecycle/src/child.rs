//! A process that we started, and its group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, kill_process_group, test_kill_process_group};
use tokio::sync::oneshot;

use crate::exit::Exit;
use crate::signals::Name;

/// A process that we started. Dropping it neither ends nor forgets it: it is still reaped.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    ended: oneshot::Receiver<Exit>,
    exit: Option<Exit>,
    sweep: Arc<AtomicBool>,
}

impl Child {
    pub(crate) fn new(pid: Pid, ended: oneshot::Receiver<Exit>, sweep: Arc<AtomicBool>) -> Child {
        Child {
            pid,
            ended,
            exit: None,
            sweep,
        }
    }

    /// Its process id, which is also the number of its group.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits for its end; once it has ended, answers at once. May be cancelled and asked again.
    pub async fn wait(&mut self) -> Exit {
        if let Some(exit) = self.exit {
            return exit;
        }
        let exit = (&mut self.ended).await.unwrap_or(Exit::Unknown);
        self.exit = Some(exit);
        exit
    }

    /// Sends a signal to it and to everything in its group. It does not mind if nobody is left.
    pub fn signal_group(&self, name: Name) {
        match kill_process_group(self.pid, name.for_rustix()) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => {
                tracing::warn!(pid = self.pid(), %error, "{name} could not be sent to the process group");
            }
        }
    }

    /// From now on its end no longer takes the rest of its group with it. Until then it does, so that nothing it started
    /// keeps its port.
    pub fn spare_group(&self) {
        self.sweep.store(false, Ordering::Release);
    }

    /// Whether anybody of its group is left, the dead that nobody has reaped yet included.
    pub fn group_alive(&self) -> bool {
        // Not being allowed to signal somebody means that there is somebody.
        !matches!(
            test_kill_process_group(self.pid),
            Err(rustix::io::Errno::SRCH)
        )
    }

    /// Waits until nobody of its group is left. There is no notice of that from the system, so it looks every few
    /// milliseconds.
    pub async fn group_gone(&self) {
        let mut pause = Duration::from_millis(1);
        while self.group_alive() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}
