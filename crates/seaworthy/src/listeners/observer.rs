//! What a worker does with a finished exchange: count it, write its line, and let checks of traffic see it.

use std::rc::Rc;

use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_health::probe::traffic::Watch;
use seaworthy_telemetry::access::Lines;
use seaworthy_telemetry::metrics;

/// Metrics, access log and watched traffic of one worker.
#[derive(Debug)]
pub(super) struct Telemetry {
    pub(super) metrics: Option<metrics::Worker>,
    pub(super) lines: Option<Lines>,
    pub(super) traffic: Watch,
}

impl Telemetry {
    /// Itself, if there is anything to tell it.
    pub(super) fn wanted(self: &Rc<Self>) -> Option<Rc<dyn Observer>> {
        let wanted = self.metrics.is_some() || self.lines.is_some() || !self.traffic.is_empty();
        wanted.then(|| self.clone() as Rc<dyn Observer>)
    }

    /// Hands lines that wait to the writing thread.
    pub(super) fn flush(&self) {
        if let Some(lines) = &self.lines {
            lines.flush();
        }
    }
}

impl Observer for Telemetry {
    fn started(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.started();
        }
    }

    fn finished(&self, done: &Finished<'_>) {
        if let Some(metrics) = &self.metrics {
            metrics.finished(done);
        }
        if let Some(lines) = &self.lines {
            lines.line(done);
        }
        self.traffic.finished(done);
    }
}
