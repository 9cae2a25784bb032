//! Runs a started service until it ends.

use std::time::Duration;

use seaworthy_config::history::Verdict;
use seaworthy_config::registry::Content;
use seaworthy_core::budget::Budget;
use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::event;
use seaworthy_lifecycle::hooks::Hook;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_lifecycle::patience::Hurry;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::shutdown::{self, Plan};
use seaworthy_lifecycle::signals::{Meaning, Name, Signals};
use seaworthy_lifecycle::supervise::Supervisor;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::judge::{Judge, Sentence};
use super::last_word::LastWord;
use super::reload::{Judgement, Outcome, Reloader, Running, Verify};
use super::shutdown::Service;
use crate::admin::Request;
use crate::config::Shutdown;
use crate::documents::Notice;
use crate::instance::Instance;
use crate::registry::Undone;
use crate::reload::{Ask, Source, Wish};

/// How long a stalled app may take to write down its stacks and to end.
const LAST_MOMENTS: Duration = Duration::from_secs(5);

/// A started service, and who may ask what of it.
pub(super) struct Control {
    pub(super) service: Service,
    pub(super) judge: Judge,
    pub(super) settings: Shutdown,
    pub(super) hooks: Vec<Hook>,
    pub(super) budget: Budget,
    pub(super) reaper: Reaper,
    pub(super) journal: Journal,
    pub(super) signals: Signals,
    pub(super) incoming: mpsc::Receiver<Request>,
    pub(super) instance: Instance,
    pub(super) reloader: Reloader,
    pub(super) running: Running,
    pub(super) verify: Verify,
}

/// Why serving ended.
enum End {
    /// Somebody asked for it.
    Asked(&'static str),
    /// The app ended by itself, with this code.
    App(u8),
}

impl Control {
    /// Serves until told to stop, or until the app is over. The result is the exit code.
    pub(super) async fn run(mut self, last_word: &LastWord) -> u8 {
        let mut prestopped = None;
        let end = loop {
            tokio::select! {
                meaning = self.signals.next() => match meaning {
                    Meaning::Stop(name) => break End::Asked(if name == Name::INT { "SIGINT" } else { "SIGTERM" }),
                    Meaning::Forward(name) => self.forward(name).await,
                    Meaning::Reload => self.reloader.wish(Ask::new(Source::Signal)),
                    Meaning::Hurry | Meaning::Repeated(_) => {}
                },
                Some(request) = self.incoming.recv() => match request {
                    Request::Stop => break End::Asked("the admin API"),
                    Request::Prestop(done) => {
                        let since = *prestopped.get_or_insert_with(Instant::now);
                        self.service.leave_rotation();
                        let left = self.budget.propagation.saturating_sub(since.elapsed());
                        tokio::spawn(answer_after(left, done));
                    }
                },
                outcome = self.reloader.next(&self.running) => self.take_in(outcome).await,
                judgement = self.verify.next(|| self.running.sample()) => self.weigh(judgement),
                sentence = self.judge.next() => self.put_down(sentence).await,
                code = finished(self.service.supervisor.as_ref()) => break End::App(code),
            }
        };
        let code = match end {
            End::Asked(by) => {
                let code = self.shut_down(by, prestopped).await;
                last_word.stopped(by, code, &self.journal);
                code
            }
            End::App(code) => {
                self.service.close().await;
                last_word.app_ended(code, &self.journal);
                code
            }
        };
        if let Err(error) = self.instance.remove(&self.service.folder) {
            tracing::warn!(event = event::CONFIG_WARNING, %error, "the file of this instance could not be removed");
        }
        code
    }

    async fn take_in(&mut self, outcome: Outcome) {
        let (told, ready) = outcome.take();
        let remote = self.running.options.remote.clone();
        let is_remote = self.running.remote_before.is_some();
        let changed = ready.as_ref().map(|ready| ready.reloaded.clone());
        let mut committed = None;
        if let Some(ready) = ready {
            let plane = &mut self.service.plane;
            committed = Some(self.running.apply(ready, plane).await);
            self.judge.renew(&self.running.loaded.value);
        }
        if let Some(ask) = told.first() {
            if ask.source == Source::Verify {
                let bad = is_remote.then_some(remote.as_deref());
                self.tell_undone(ask, bad, told.refusal());
            }
            if let Some(changed) = &changed {
                self.running.keep(changed, remote, ask, &mut self.verify);
            }
        }
        let registry = &self.running.state.registry;
        let documents = committed.as_ref().map(|committed| &committed.changes);
        told.tell(
            self.running.generation,
            changed.as_ref(),
            documents,
            registry,
        );
        for notice in committed
            .into_iter()
            .flat_map(|committed| committed.notices)
        {
            self.pass_on(notice).await;
        }
    }

    /// Tells the app that others of its documents hold. Nothing waits for its answer.
    async fn pass_on(&self, notice: Notice) {
        if let Some(name) = notice.signal() {
            return self.forward(name).await;
        }
        let roll = self.running.state.roster.roll();
        let addresses: Vec<_> = (roll.endpoints.iter())
            .map(|endpoint| endpoint.address.clone())
            .collect();
        tokio::spawn(async move { notice.post(&addresses).await });
    }

    /// Does what follows from watching a change.
    fn weigh(&mut self, judgement: Judgement) {
        match judgement {
            Judgement::Good => self.running.versions.judge(Verdict::Good, None),
            Judgement::Worse(reason) => self.reloader.wish(Ask {
                wish: Wish::Undo(self.running.generation),
                reason: Some(reason),
                ..Ask::new(Source::Verify)
            }),
        }
    }

    /// Says what became of a version that did harm; `bad` is what the registry said, if it was its doing.
    fn tell_undone(&self, ask: &Ask, bad: Option<Option<&Content>>, refused: Option<&str>) {
        let (versions, reason) = (&self.running.versions, ask.reason.as_deref());
        let evidence = reason.unwrap_or_default();
        if let Some(bad) = bad {
            let stays = refused.map(|why| format!("; it cannot be taken back: {why}"));
            self.running.remote.undo(Undone {
                content: bad.cloned(),
                reason: format!("{evidence}{}", stays.unwrap_or_default()),
                holds: self.running.options.remote.as_deref().cloned(),
            });
        }
        let (what, next) = match refused {
            None => (
                format!("{} is taken back", versions.name()),
                "the one before holds again; mend the file and reload".to_owned(),
            ),
            Some(why) => {
                // A start shall not take it for one that did well.
                versions.judge(Verdict::RolledBack, reason);
                (
                    format!("{} does harm and cannot be taken back", versions.name()),
                    format!("it holds all the same: {why}; mend the file and reload"),
                )
            }
        };
        let event = Event::new(event::CONFIG_ROLLED_BACK, what);
        let event = event.with_level(Level::Error).with_evidence(evidence);
        self.journal.record(event.with_next(next));
    }

    async fn put_down(&self, Sentence { life, signal }: Sentence) {
        if let Some(supervisor) = &self.service.supervisor {
            supervisor
                .replace(life.instance, life.generation, signal, LAST_MOMENTS)
                .await;
        }
    }

    async fn forward(&self, name: Name) {
        if let Some(supervisor) = &self.service.supervisor {
            supervisor.signal(name).await;
        }
    }

    /// Walks through the phases; meanwhile only impatience is listened to.
    async fn shut_down(&mut self, by: &str, prestopped: Option<Instant>) -> u8 {
        self.reloader.close();
        let plan = Plan {
            budget: self.budget,
            hooks: self.hooks.clone(),
            ramp: self.settings.ramp.0,
            fail_exit: self.settings.fail_exit,
            by: by.to_owned(),
            prestopped,
        };
        let hurry = Hurry::new();
        let impatience = async {
            loop {
                if self.signals.next().await == Meaning::Hurry {
                    hurry.press();
                }
            }
        };
        let walk = shutdown::run(
            &plan,
            &mut self.service,
            &hurry,
            &self.reaper,
            &self.journal,
        );
        tokio::select! {
            summary = walk => summary.exit_code(),
            () = impatience => unreachable!("listens for ever"),
        }
    }
}

/// Answers a preStop hook once balancers have had the time to notice.
async fn answer_after(time: Duration, done: tokio::sync::oneshot::Sender<()>) {
    tokio::time::sleep(time).await;
    // Who asked may have gone away meanwhile.
    done.send(()).ok();
}

async fn finished(supervisor: Option<&Supervisor>) -> u8 {
    match supervisor {
        Some(supervisor) => supervisor.finished().await,
        None => std::future::pending().await,
    }
}
