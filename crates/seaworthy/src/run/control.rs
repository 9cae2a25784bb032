//! Runs a started service until it ends.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seaworthy_core::budget::Budget;
use seaworthy_core::lifecycle::Phase;
use seaworthy_http::drain;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::signals::{Meaning, Name, Signals};
use seaworthy_lifecycle::supervise::Supervisor;
use seaworthy_telemetry::metrics::Registry;
use tokio::sync::mpsc;

use super::face::Face;
use super::plane::Plane;
use crate::admin::Request;
use crate::config::Config;
use crate::instance::Instance;

/// A started service.
pub(super) struct Control {
    pub(super) config: Config,
    pub(super) registry: Arc<Registry>,
    pub(super) face: Face,
    pub(super) plane: Plane,
    pub(super) supervisor: Option<Supervisor>,
    pub(super) reaper: Reaper,
    pub(super) journal: Journal,
    pub(super) signals: Signals,
    pub(super) incoming: mpsc::Receiver<Request>,
    pub(super) budget: Budget,
    pub(super) instance: Instance,
    pub(super) folder: PathBuf,
}

/// How it ended; the number is the exit code.
pub(super) enum Outcome {
    /// The app ended by itself.
    AppEnded(u8),
    /// Somebody asked for it.
    Stopped(u8),
}

/// Why the loop ended.
enum End {
    Asked(&'static str),
    App(u8),
}

impl Control {
    /// Serves until told to stop, or until the app is over.
    pub(super) async fn run(mut self) -> Outcome {
        let mut prestopped = None;
        let end = loop {
            tokio::select! {
                meaning = self.signals.next() => match meaning {
                    Meaning::Stop(name) => break End::Asked(if name == Name::INT { "SIGINT" } else { "SIGTERM" }),
                    Meaning::Forward(name) => self.forward(name).await,
                    Meaning::Reload => tracing::warn!(event = "config.warning", "SIGHUP: the configuration cannot be reloaded yet; restart to apply changes"),
                    Meaning::Hurry | Meaning::Repeated(_) => {}
                },
                Some(request) = self.incoming.recv() => match request {
                    Request::Stop => break End::Asked("the admin API"),
                    Request::Prestop(done) => {
                        let since = *prestopped.get_or_insert_with(Instant::now);
                        self.leave_rotation();
                        let left = self.budget.propagation.saturating_sub(since.elapsed());
                        tokio::spawn(async move {
                            tokio::time::sleep(left).await;
                            // Who asked may have gone away meanwhile.
                            done.send(()).ok();
                        });
                    }
                },
                code = finished(self.supervisor.as_ref()) => break End::App(code),
            }
        };
        match end {
            End::Asked(by) => Outcome::Stopped(self.shut_down(by, prestopped).await),
            End::App(code) => {
                self.close().await;
                Outcome::AppEnded(code)
            }
        }
    }

    async fn forward(&self, name: Name) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.signal(name).await;
        }
    }

    fn leave_rotation(&self) {
        self.face.enter(Phase::Propagating);
        self.plane.public.advance(drain::Phase::Propagating);
    }

    async fn shut_down(self, by: &str, prestopped: Option<Instant>) -> u8 {
        tracing::info!(event = "shutdown.signal", by, "Shutting down gracefully...");
        self.leave_rotation();
        let spent = prestopped.map_or(Duration::ZERO, |since| since.elapsed());
        tokio::time::sleep(self.budget.propagation.saturating_sub(spent)).await;
        self.face.enter(Phase::Draining);
        self.plane.public.advance(drain::Phase::Draining);
        let drained = async {
            while self.plane.public.inside() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(self.budget.drain, drained).await.ok();
        self.plane.public.close();
        self.plane.public.advance(drain::Phase::Cut);
        let mut killed = false;
        if let Some(supervisor) = &self.supervisor {
            killed = supervisor
                .stop(
                    self.config.app.stop_signal.into(),
                    tokio::time::sleep(self.budget.app),
                )
                .await;
        }
        let cut = self.plane.public.cut();
        self.close().await;
        if killed || cut > 0 { 75 } else { 0 }
    }

    /// Ends what serves and writes out what waits.
    async fn close(mut self) {
        self.face.enter(Phase::Flushing);
        self.plane.public.advance(drain::Phase::Draining);
        self.plane.public.close();
        self.plane.public.advance(drain::Phase::Cut);
        self.plane.workers_ended().await;
        let page = self.registry.encode(false);
        if let Err(error) = std::fs::write(self.folder.join("last_metrics.prom"), page) {
            tracing::warn!(event = "config.warning", %error, "the last metrics could not be kept");
        }
        self.plane.flush().ok();
        self.instance.remove(&self.folder).ok();
    }
}

async fn finished(supervisor: Option<&Supervisor>) -> u8 {
    match supervisor {
        Some(supervisor) => supervisor.finished().await,
        None => std::future::pending().await,
    }
}
