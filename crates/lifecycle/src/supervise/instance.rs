//! One instance of the app: start, wait until it listens, wait until it ends, decide, again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use seaworthy_core::address::Address;
use seaworthy_core::backoff::{Backoff, Decision};
use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::event as name;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::death::{Death, about, not_listening};
use super::readiness::{Progress, Readiness, accepts};
use super::settings::Launch;
use super::{Shared, State};
use crate::child::Child;
use crate::exit::Exit;
use crate::listening;
use crate::signals::Name;

/// How long the killed rest of a group may take to be gone before the next start.
const AFTERMATH: Duration = Duration::from_secs(1);
/// Exit code for what only a change of the configuration mends.
const MISCONFIGURED: u8 = 2;

/// What an instance can be told.
#[derive(Debug)]
pub(super) enum Command {
    /// End, and say whether anybody had to be killed.
    Stop {
        signal: Name,
        kill: watch::Receiver<bool>,
        reply: oneshot::Sender<bool>,
    },
    /// End and start again; say when ready. Whoever means one life of it says which.
    Restart {
        generation: Option<u64>,
        signal: Name,
        patience: Duration,
        reply: oneshot::Sender<()>,
    },
    /// Pass this on to the group.
    Signal(Name),
    /// Do not start again.
    Hold,
}

/// How one start ended.
enum Ending {
    /// By itself.
    Died(Death),
    /// As it was told to.
    Stopped,
    /// As it was told to, and a new start is wanted.
    Again,
    /// In a way that no new start would mend.
    Hopeless(u8),
}

pub(super) struct Instance {
    index: usize,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    backoff: Backoff,
    generation: u64,
    /// Whether any start got as far as accepting connections.
    ever_ready: bool,
    held: bool,
    /// Who waits for the next start to be ready.
    restarted: Option<oneshot::Sender<()>>,
}

impl Instance {
    pub(super) fn new(
        index: usize,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
    ) -> Instance {
        let backoff = Backoff::new(shared.settings.rules);
        Instance {
            index,
            shared,
            commands,
            backoff,
            generation: 0,
            ever_ready: false,
            held: false,
            restarted: None,
        }
    }

    /// Keeps it alive until it is told to stop or there is no point any more.
    pub(super) async fn run(mut self) {
        let last = loop {
            let end = match self.live().await {
                Ending::Stopped => Some(State::Stopped),
                Ending::Hopeless(code) => Some(State::Failed { code }),
                Ending::Again => None,
                Ending::Died(death) => self.mourn(&death).await,
            };
            if let Some(state) = end {
                break state;
            }
        };
        self.publish(last);
    }

    /// One start, from the launch to its end.
    async fn live(&mut self) -> Ending {
        self.generation += 1;
        if self.generation > 1 {
            self.shared.restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.publish(State::Starting {
            generation: self.generation,
        });
        let launched = {
            let mut launcher = self
                .shared
                .launcher
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            launcher(self.index, self.generation)
        };
        let launch = match launched {
            Ok(launch) => launch,
            Err(error) => return Ending::Died(Death::unborn(error.to_string())),
        };
        if let Some(address) = &launch.address
            && accepts(address).await
        {
            return self.taken(address);
        }
        let memory = self.memory();
        match self.shared.reaper.spawn(&launch.program) {
            Ok(mut child) => {
                let started = Event::new(name::APP_STARTED, format!("{} was started", self.who()))
                    .with_evidence(format!(
                        "pid {}, generation {}, `{}`",
                        child.pid(),
                        self.generation,
                        launch.program.line()
                    ))
                    .with_next(match &launch.address {
                        Some(address) => format!("waiting until it listens on {address}"),
                        None => "it is ready when it has run for a moment".to_owned(),
                    });
                self.shared.journal.record(started);
                self.attend(&mut child, &launch, memory).await
            }
            Err(error) if error.is_final() && !self.ever_ready => {
                self.not_started(&error.to_string());
                Ending::Hopeless(MISCONFIGURED)
            }
            Err(error) => Ending::Died(Death::unborn(error.to_string())),
        }
    }

    /// Stays with a child until its end.
    async fn attend(&mut self, child: &mut Child, launch: &Launch, memory: Option<u64>) -> Ending {
        let started = Instant::now();
        let limit = self.shared.settings.startup_timeout;
        let mut readiness = Readiness::new(launch.address.clone(), limit);
        let mut ready: Option<Instant> = None;
        let mut killed_by_us = false;
        loop {
            tokio::select! {
                biased;
                exit = child.wait() => {
                    let ready_for = ready.map(|since| since.elapsed());
                    let memory = memory.filter(|_| !killed_by_us);
                    return Ending::Died(self.died(child, exit, ready_for, memory).await);
                }
                command = self.commands.recv() => match command {
                    Some(Command::Signal(signal)) => {
                        killed_by_us |= signal == Name::KILL;
                        child.signal_group(signal);
                    }
                    Some(Command::Hold) => self.held = true,
                    Some(Command::Stop { signal, mut kill, reply }) => {
                        let killed = end(child, signal, flagged(&mut kill)).await;
                        self.publish(State::Stopped);
                        answer(reply, killed);
                        return Ending::Stopped;
                    }
                    Some(Command::Restart { generation: Some(other), .. }) if other != self.generation => {}
                    Some(Command::Restart { signal, patience, reply, .. }) => {
                        self.restarted = Some(reply);
                        return self.replace(child, signal, patience).await;
                    }
                    None => {
                        end(child, Name::KILL, std::future::ready(())).await;
                        return Ending::Stopped;
                    }
                },
                progress = readiness.next(), if ready.is_none() => match progress {
                    Progress::Ready => {
                        ready = Some(Instant::now());
                        self.ready(child, launch, started.elapsed());
                    }
                    Progress::Slow => {
                        self.not_listening(child, launch, started.elapsed()).await;
                    }
                    Progress::TimedOut => return self.never_listened(child, launch, limit).await,
                },
            }
        }
    }

    /// Ends a child so that the next start may follow, unless a stop is asked for meanwhile.
    async fn replace(&mut self, child: &mut Child, signal: Name, patience: Duration) -> Ending {
        self.publish(State::Starting {
            generation: self.generation + 1,
        });
        let mut stop = None;
        let killed = end(child, signal, async {
            tokio::select! {
                () = tokio::time::sleep(patience) => return,
                (kill, reply) = next_stop(&mut self.commands) => stop = Some((kill, reply)),
            }
            if let Some((kill, _)) = &mut stop {
                flagged(kill).await;
            }
        })
        .await;
        let Some((_, reply)) = stop else {
            return Ending::Again;
        };
        self.publish(State::Stopped);
        answer(reply, killed);
        Ending::Stopped
    }

    fn ready(&mut self, child: &Child, launch: &Launch, took: Duration) {
        self.ever_ready = true;
        self.publish(State::Ready {
            address: launch.address.clone(),
            generation: self.generation,
            pid: child.pid(),
        });
        if let Some(reply) = self.restarted.take() {
            answer(reply, ());
        }
        let ready = Event::new(name::APP_READY, format!("{} is ready", self.who())).with_evidence(
            match &launch.address {
                Some(address) => {
                    format!(
                        "pid {} listens on {address} after {}",
                        child.pid(),
                        about(took)
                    )
                }
                None => format!("pid {} has run for {}", child.pid(), about(took)),
            },
        );
        self.shared.journal.record(ready);
    }

    async fn died(
        &mut self,
        child: &Child,
        exit: Exit,
        ready_for: Option<Duration>,
        memory: Option<u64>,
    ) -> Death {
        // The proxy must know before anything else.
        self.publish(State::Starting {
            generation: self.generation + 1,
        });
        let counter = self
            .shared
            .oom
            .as_ref()
            .filter(|_| exit == Exit::Signal(Name::KILL));
        let memory = counter
            .zip(memory)
            .and_then(|(counter, before)| Some((counter, before, counter.read()?)));
        let death = Death::of_process(exit, ready_for, child.pid(), memory);
        // Reaping it has killed the rest of its group, which may still hold the port.
        if timeout(AFTERMATH, child.group_gone()).await.is_err() {
            tracing::warn!(pid = child.pid(), "some of the app's processes do not die");
        }
        death
    }

    async fn not_listening(&self, child: &Child, launch: &Launch, after: Duration) -> bool {
        let pid = child.pid();
        let found = tokio::task::spawn_blocking(move || listening::of_tree(pid))
            .await
            .unwrap_or_default();
        let settings = &self.shared.settings;
        if let Some(address) = &launch.address {
            let event = not_listening(&self.who(), address, &found, settings, after);
            self.shared.journal.record(event);
        }
        !found.is_empty()
    }

    async fn never_listened(
        &mut self,
        child: &mut Child,
        launch: &Launch,
        limit: Duration,
    ) -> Ending {
        let elsewhere = self.not_listening(child, launch, limit).await;
        end(child, Name::KILL, std::future::ready(())).await;
        match (self.ever_ready, elsewhere) {
            (true, _) => Ending::Died(Death {
                what: "did not listen in time and was killed".to_owned(),
                ..Death::unborn(format!("after {}", about(limit)))
            }),
            (false, true) => Ending::Hopeless(MISCONFIGURED),
            (false, false) => Ending::Hopeless(1),
        }
    }

    /// Somebody else accepts connections where the app is to listen.
    fn taken(&mut self, address: &Address) -> Ending {
        let reason = format!(
            "another process already listens on {address}. Stop that one, or set app.connect to another address"
        );
        if self.ever_ready {
            return Ending::Died(Death::unborn(reason));
        }
        self.not_started(&reason);
        Ending::Hopeless(MISCONFIGURED)
    }

    fn not_started(&self, reason: &str) {
        let event = Event::new(
            name::APP_NOT_STARTED,
            format!("{} could not be started: {reason}", self.who()),
        )
        .with_level(Level::Error);
        self.shared.journal.record(event);
    }

    /// Decides what follows a death, and waits if that is the decision. Gives the last state if there is to be one.
    async fn mourn(&mut self, death: &Death) -> Option<State> {
        let decision = if self.held {
            Decision::End
        } else {
            self.backoff
                .died(Instant::now(), death.ready_for, death.success)
        };
        let early = self.backoff.early_deaths();
        let rules = &self.shared.settings.rules;
        let event = death.event(&self.who(), decision, early, rules);
        self.shared.journal.record(event);
        let code = death.code;
        match decision {
            Decision::Restart => None,
            Decision::RestartAfter(wait) => self.wait(wait).await,
            Decision::End if self.held => Some(State::Stopped),
            Decision::End => Some(State::Ended { code }),
            Decision::GiveUp => Some(State::Failed { code }),
        }
    }

    /// Waits before the next start, unless it is told not to.
    async fn wait(&mut self, wait: Duration) -> Option<State> {
        self.publish(State::Backoff {
            until: Instant::now() + wait,
        });
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return None,
                command = self.commands.recv() => match command {
                    Some(Command::Signal(_)) => {}
                    Some(Command::Restart { generation: Some(_), .. }) => {}
                    Some(Command::Restart { reply, .. }) => {
                        self.restarted = Some(reply);
                        return None;
                    }
                    Some(Command::Stop { reply, .. }) => {
                        self.publish(State::Stopped);
                        answer(reply, false);
                        return Some(State::Stopped);
                    }
                    Some(Command::Hold) | None => return Some(State::Stopped),
                }
            }
        }
    }

    fn publish(&self, state: State) {
        self.shared.states.send_if_modified(|states| {
            states
                .get_mut(self.index)
                .is_some_and(|old| std::mem::replace(old, state.clone()) != state)
        });
    }

    fn memory(&self) -> Option<u64> {
        self.shared.oom.as_ref()?.read()
    }

    fn who(&self) -> String {
        match self.shared.settings.instances {
            1 => "the app".to_owned(),
            _ => format!("instance {} of the app", self.index + 1),
        }
    }
}

/// Ends a child and its group: `signal` first, SIGKILL when `patience` is over. Says whether it came to that.
async fn end(child: &mut Child, signal: Name, patience: impl Future<Output = ()>) -> bool {
    // The leader may be a shell that dies at once while the server it started still finishes its requests.
    child.spare_group();
    child.signal_group(signal);
    // One that is stopped could not even see it.
    child.signal_group(Name::CONT);
    let gone = async {
        child.wait().await;
        child.group_gone().await;
    };
    tokio::select! {
        biased;
        () = gone => return false,
        () = patience => {}
    }
    child.signal_group(Name::KILL);
    child.wait().await;
    if timeout(AFTERMATH, child.group_gone()).await.is_err() {
        tracing::warn!(pid = child.pid(), "some of the app's processes do not die");
    }
    true
}

/// Waits for the end of somebody's patience.
async fn flagged(kill: &mut watch::Receiver<bool>) {
    // When the sender is gone, nobody is left who could be patient.
    match kill.wait_for(|kill| *kill).await {
        Ok(_) | Err(_) => {}
    }
}

/// Waits for a command to stop while nothing else can be done.
async fn next_stop(
    commands: &mut mpsc::Receiver<Command>,
) -> (watch::Receiver<bool>, oneshot::Sender<bool>) {
    loop {
        match commands.recv().await {
            Some(Command::Stop { kill, reply, .. }) => return (kill, reply),
            Some(_) => {}
            None => return std::future::pending().await,
        }
    }
}

/// Answers somebody who may no longer listen.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    match reply.send(value) {
        Ok(()) | Err(_) => {}
    }
}
