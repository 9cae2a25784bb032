//! Runs a started service until it ends.

use std::time::Duration;

use seaworthy_core::budget::Budget;
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
use super::shutdown::Service;
use crate::admin::Request;
use crate::config::Shutdown;
use crate::instance::Instance;

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
                    Meaning::Reload => tracing::warn!(
                        event = event::CONFIG_WARNING,
                        "SIGHUP changes nothing: this version reads its configuration at start only; restart to apply changes"
                    ),
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
