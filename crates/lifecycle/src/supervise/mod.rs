//! Keeping the app alive.
//!
//! A [`Supervisor`] runs N instances of one command, each in a task of its own. Every start gets a new address from the
//! caller, so a restart never fights its predecessor for a port and the proxy can never mistake the new process for the old
//! one. What the instances are doing is one watched list of [`State`]s; what happens to them is told as events in the
//! journal; what they should do is said with `stop`, `restart`, `signal` and `hold`.
//!
//! When to restart is decided by [`seaworthy_core::backoff`]. It never looks at requests, and a process that hangs is alive
//! for it: judging progress is for those who see the traffic.

mod death;
mod instance;
mod readiness;
mod settings;

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use seaworthy_core::address::Address;
use tokio::sync::{mpsc, oneshot, watch};

pub use settings::{Launch, Settings};

use crate::journal::Journal;
use crate::oom;
use crate::reap::Reaper;
use crate::signals::Name;
use instance::{Command, Instance};

/// What one instance is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is being started, or about to be; it does not listen yet.
    Starting {
        /// Which start this is, from 1.
        generation: u64,
    },
    /// It accepts connections, or runs if it has none to accept.
    Ready {
        /// Where.
        address: Option<Address>,
        /// Which start this is, from 1.
        generation: u64,
        /// Its process, which is also the number of its group.
        pid: i32,
    },
    /// It died early and waits before it is started again.
    Backoff {
        /// Until when.
        until: Instant,
    },
    /// It was asked to stop and has.
    Stopped,
    /// It ended, and the restart policy lets it.
    Ended {
        /// Its exit code, 128 + n for a signal.
        code: u8,
    },
    /// It could not be started or died too often; no further start.
    Failed {
        /// What Seaworthy should exit with.
        code: u8,
    },
}

impl State {
    /// Whether there is no further start.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            State::Stopped | State::Ended { .. } | State::Failed { .. }
        )
    }
}

/// Makes the command for the given instance (from 0) and generation (from 1).
type Launcher = Box<dyn FnMut(usize, u64) -> io::Result<Launch> + Send>;

/// What all instances share.
struct Shared {
    settings: Settings,
    reaper: Reaper,
    journal: Journal,
    launcher: Mutex<Launcher>,
    states: watch::Sender<Vec<State>>,
    restarts: AtomicU64,
    oom: Option<oom::Counter>,
}

/// Runs the app. Dropping it kills what still runs.
pub struct Supervisor {
    shared: Arc<Shared>,
    instances: Vec<mpsc::Sender<Command>>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor")
            .field("settings", &self.shared.settings)
            .field("states", &*self.shared.states.borrow())
            .finish_non_exhaustive()
    }
}

impl Supervisor {
    /// Starts the instances on the current runtime, which must be driven by the main thread (see [`crate::spawn`]).
    /// `launcher` makes the command for an instance (from 0) and a generation (from 1); each call must give a fresh address,
    /// or one that nobody else uses.
    pub fn start(
        settings: Settings,
        reaper: &Reaper,
        journal: &Journal,
        launcher: impl FnMut(usize, u64) -> io::Result<Launch> + Send + 'static,
    ) -> Supervisor {
        let count = settings.instances;
        let shared = Arc::new(Shared {
            settings,
            reaper: reaper.clone(),
            journal: journal.clone(),
            launcher: Mutex::new(Box::new(launcher)),
            states: watch::Sender::new(vec![State::Starting { generation: 1 }; count]),
            restarts: AtomicU64::new(0),
            oom: oom::Counter::find(),
        });
        let instances = (0..count)
            .map(|index| {
                let (send, commands) = mpsc::channel(8);
                tokio::spawn(Instance::new(index, Arc::clone(&shared), commands).run());
                send
            })
            .collect();
        Supervisor { shared, instances }
    }

    /// What each instance is doing, as a list to watch. Only the latest state is kept: whoever looks rarely sees a restart
    /// as a higher generation.
    pub fn states(&self) -> watch::Receiver<Vec<State>> {
        self.shared.states.subscribe()
    }

    /// How often an instance was started again.
    pub fn restarts_total(&self) -> u64 {
        self.shared.restarts.load(Ordering::Relaxed)
    }

    /// Waits until the app is over without having been asked to stop: one instance has failed, or all have ended. Gives the
    /// exit code.
    pub async fn finished(&self) -> u8 {
        let mut states = self.states();
        loop {
            if let Some(code) = verdict(&states.borrow_and_update()) {
                return code;
            }
            if states.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Stops all instances: `signal` to their groups, and when `patience` is over before they are, SIGKILL. No new start
    /// follows. Says whether anybody had to be killed.
    pub async fn stop(&self, signal: Name, patience: impl Future<Output = ()>) -> bool {
        let (out_of_patience, kill) = watch::channel(false);
        let all = async {
            let mut answers = Vec::new();
            for instance in &self.instances {
                let (reply, answer) = oneshot::channel();
                let command = Command::Stop {
                    signal,
                    kill: kill.clone(),
                    reply,
                };
                // One that has come to its end takes no commands any more.
                if instance.send(command).await.is_ok() {
                    answers.push(answer);
                }
            }
            let mut killed = false;
            for answer in answers {
                killed |= answer.await.unwrap_or(false);
            }
            killed
        };
        tokio::pin!(all, patience);
        tokio::select! {
            biased;
            killed = &mut all => return killed,
            () = &mut patience => {}
        }
        out_of_patience.send_replace(true);
        all.await
    }

    /// Replaces the instances one after the other: each is stopped as by [`stop`](Self::stop) with `patience`, started again,
    /// and ready before the next one's turn comes.
    pub async fn restart(&self, signal: Name, patience: std::time::Duration) {
        for instance in &self.instances {
            let (reply, answer) = oneshot::channel();
            let command = Command::Restart {
                generation: None,
                signal,
                patience,
                reply,
            };
            if instance.send(command).await.is_ok() {
                // It has no answer to give when it was stopped meanwhile.
                match answer.await {
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }

    /// Replaces one life of one instance, which somebody found to be broken: `signal` to its group, SIGKILL after `patience`,
    /// and a new start, without waiting for any of it. A life that is over already is left in peace.
    pub async fn replace(
        &self,
        instance: usize,
        generation: u64,
        signal: Name,
        patience: std::time::Duration,
    ) {
        let (reply, _) = oneshot::channel();
        let command = Command::Restart {
            generation: Some(generation),
            signal,
            patience,
            reply,
        };
        if let Some(instance) = self.instances.get(instance) {
            // One that has come to its end needs no replacement.
            match instance.send(command).await {
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Sends a signal to the groups of all instances that run.
    pub async fn signal(&self, signal: Name) {
        self.tell(|| Command::Signal(signal)).await;
    }

    /// From now on nothing that dies is started again; for the time when requests are only being finished.
    pub async fn hold(&self) {
        self.tell(|| Command::Hold).await;
    }

    async fn tell(&self, command: impl Fn() -> Command) {
        for instance in &self.instances {
            // One that has come to its end has nothing to do.
            match instance.send(command()).await {
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// The exit code, once the app is over by itself.
fn verdict(states: &[State]) -> Option<u8> {
    let failed = states.iter().find_map(|state| match state {
        State::Failed { code } => Some(*code),
        _ => None,
    });
    if failed.is_some() {
        return failed;
    }
    let ended: Option<Vec<u8>> = states
        .iter()
        .map(|state| match state {
            State::Ended { code } => Some(*code),
            _ => None,
        })
        .collect();
    ended?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_enough_and_endings_must_be_all() {
        let ended = |code| State::Ended { code };
        let running = State::Starting { generation: 1 };
        assert_eq!(
            verdict(&[running.clone(), State::Failed { code: 9 }]),
            Some(9)
        );
        assert_eq!(verdict(&[ended(3), running]), None);
        assert_eq!(verdict(&[ended(3), ended(0)]), Some(3));
        assert_eq!(verdict(&[State::Stopped]), None);
        assert_eq!(verdict(&[]), None);
    }
}
