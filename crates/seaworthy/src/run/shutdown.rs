//! How this product takes the steps of a shutdown: which part of it does what in which phase.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::address::Address;
use seaworthy_core::budget::Ramp;
use seaworthy_core::lifecycle::Phase;
use seaworthy_core::names::{event, metric};
use seaworthy_http::drain;
use seaworthy_lifecycle::hooks::{Action, Hook, Request};
use seaworthy_lifecycle::patience::Patience;
use seaworthy_lifecycle::shutdown::{AppEnd, Steps};
use seaworthy_lifecycle::signals::Name;
use seaworthy_lifecycle::spawn::Program;
use seaworthy_lifecycle::supervise::Supervisor;
use seaworthy_telemetry::metrics::Registry;
use tokio::time::Instant;

use super::face::Face;
use super::plane::Plane;
use crate::armour::Underway;
use crate::config::shutdown::Hook as Configured;
use crate::failure::Failure;

/// The file in the state folder that keeps the metrics of a process that is gone.
const LAST_METRICS: &str = "last_metrics.prom";
/// The file in the state folder that says how long the last shutdown took, in seconds.
const LAST_SHUTDOWN: &str = "last_shutdown";

/// How long the end waits for documents that nobody has taken yet.
const LAST_POST: Duration = Duration::from_secs(1);

/// Counts the shutdown of the process before this one: nobody can scrape a process that is gone.
pub(super) fn remember(folder: &Path, registry: &Registry) {
    let written = std::fs::read_to_string(folder.join(LAST_SHUTDOWN)).unwrap_or_default();
    let took: Option<f64> = written.trim().parse().ok();
    if let Some(took) = took.filter(|took| took.is_finite() && *took >= 0.0) {
        registry
            .histogram(&metric::SHUTDOWN_SECONDS, &[])
            .observe(took);
    }
}

/// The parts of a started service that a shutdown concerns.
pub(super) struct Service {
    pub(super) face: Face,
    pub(super) plane: Plane,
    pub(super) supervisor: Option<Supervisor>,
    pub(super) stop_signal: Name,
    pub(super) registry: Arc<Registry>,
    pub(super) underway: Underway,
    pub(super) folder: PathBuf,
    /// When the end began.
    pub(super) since: Option<Instant>,
}

impl Service {
    /// Becomes not ready and goes on serving.
    pub(super) fn leave_rotation(&self) {
        self.face.enter(Phase::Propagating);
        self.plane.public.advance(drain::Phase::Propagating);
    }

    /// Ends what serves, without waiting for requests.
    pub(super) async fn close(&mut self) {
        self.plane.public.advance(drain::Phase::Draining);
        self.plane.public.close();
        self.plane.public.advance(drain::Phase::Cut);
        self.plane.workers_ended().await;
        self.write_out();
        self.see_off().await;
    }

    /// Waits a little for documents that are on their way.
    async fn see_off(&self) {
        let left = self.underway.settle(LAST_POST).await;
        if left > 0 {
            tracing::warn!(
                event = event::FEATURE_WEBHOOK,
                left,
                "{left} documents about features were not taken before the end, and are lost"
            );
        }
    }

    /// Keeps the last metrics, and writes the access lines that wait.
    fn write_out(&mut self) {
        if let Some(since) = self.since {
            let took = since.elapsed().as_secs_f64();
            self.registry
                .histogram(&metric::SHUTDOWN_SECONDS, &[])
                .observe(took);
            // As with the metrics below: without a folder to write to, the figure is lost and nothing else.
            std::fs::write(self.folder.join(LAST_SHUTDOWN), took.to_string()).ok();
        }
        if let Err(error) = self.plane.flush() {
            tracing::warn!(event = event::CONFIG_WARNING, %error, "access lines were left unwritten: nobody reads standard error");
        }
        let page = self.registry.encode(false);
        if let Err(error) = std::fs::write(self.folder.join(LAST_METRICS), page) {
            tracing::warn!(event = event::CONFIG_WARNING, %error, "the last metrics could not be kept in the state folder");
        }
    }
}

impl Steps for Service {
    fn enter(&mut self, phase: Phase) {
        self.since.get_or_insert_with(Instant::now);
        self.face.enter(phase);
    }

    async fn mark(&mut self, ramp: Option<Ramp>) {
        if let Some(ramp) = ramp {
            self.plane.public.ramp(ramp);
        }
        self.leave_rotation();
    }

    async fn begin_drain(&mut self) {
        if let Some(supervisor) = &self.supervisor {
            // An app that dies now is not started again only to be stopped.
            supervisor.hold().await;
        }
        self.plane.public.advance(drain::Phase::Draining);
    }

    fn in_flight(&self) -> u64 {
        self.plane.public.inside()
    }

    async fn end_drain(&mut self) -> u64 {
        self.plane.public.close();
        self.plane.public.advance(drain::Phase::Cut);
        self.plane.workers_ended().await;
        self.plane.public.cut() + self.plane.public.inside()
    }

    fn app_address(&self) -> Option<Address> {
        self.face
            .roster()
            .roll()
            .endpoints
            .first()
            .map(|endpoint| endpoint.address.clone())
    }

    async fn stop_app(&mut self, patience: Patience) -> AppEnd {
        let Some(supervisor) = &self.supervisor else {
            return AppEnd::NoApp;
        };
        let out_of_patience = async {
            patience.over().await;
        };
        if supervisor.stop(self.stop_signal, out_of_patience).await {
            AppEnd::Killed
        } else {
            AppEnd::Stopped
        }
    }

    async fn flush(&mut self) {
        self.write_out();
        self.see_off().await;
    }
}

/// The hooks of the configuration, in its order.
///
/// # Errors
/// When a URL cannot be called.
pub(super) fn hooks(configured: &[Configured]) -> anyhow::Result<Vec<Hook>> {
    configured.iter().map(hook).collect()
}

fn hook(configured: &Configured) -> anyhow::Result<Hook> {
    let name = configured.name.clone();
    let action = match (&configured.exec, &configured.http, &configured.remove_tree) {
        (Some(words), None, None) => {
            let mut words = words.iter().map(Into::into);
            Action::Exec(Program {
                program: words.next().unwrap_or_default(),
                args: words.collect(),
                ..Program::default()
            })
        }
        (None, Some(http), None) => Action::Http(
            Request::new(&http.method, &http.url)
                .map_err(|error| Failure::usage(format!("shutdown.hooks, `{name}`: {error}")))?,
        ),
        (None, None, Some(path)) => Action::RemoveTree(path.clone()),
        // The configuration was checked; this is only reached by one that was not.
        _ => {
            return Err(Failure::usage(format!(
                "shutdown.hooks, `{name}`: give it exactly one of exec, http, remove_tree"
            ))
            .into());
        }
    };
    Ok(Hook {
        name,
        action,
        timeout: configured.timeout.map(|timeout| timeout.0),
        ignore_errors: configured.ignore_errors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_shutdown_is_counted_and_nonsense_is_not() -> anyhow::Result<()> {
        for (written, count) in [("12.5", 1), ("", 0), ("NaN", 0), ("-1", 0), ("soon", 0)] {
            let folder = tempfile::tempdir()?;
            std::fs::write(folder.path().join(LAST_SHUTDOWN), written)?;
            let registry = Registry::new(&["unmatched".to_owned()]);
            remember(folder.path(), &registry);
            // A family without an observation is not shown.
            let page = registry.encode(false);
            let shown = page.contains(&format!("service_shutdown_seconds_count {count}\n"));
            assert_eq!(shown, count == 1, "{written}: {page}");
        }
        Ok(())
    }
}
