//! What a worker does with a finished exchange: count it, write its line, and let checks of traffic see it.

use std::rc::Rc;
use std::sync::Arc;

use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::route::RouteId;
use seaworthy_health::probe::traffic::Watch;
use seaworthy_telemetry::access::Lines;
use seaworthy_telemetry::metrics::{self, Registry};

use crate::components::Components;

/// Metrics and access log of one worker, from its begin to its end.
#[derive(Debug)]
pub(super) struct Telemetry {
    pub(super) metrics: Option<metrics::Worker>,
    pub(super) lines: Option<Lines>,
}

impl Telemetry {
    /// Takes in that there may be more routes.
    pub(super) fn renew(&self, registry: &Registry) {
        if let Some(metrics) = &self.metrics {
            metrics.renew(registry);
        }
        if let Some(lines) = &self.lines {
            lines.renew();
        }
    }

    /// Hands lines that wait to the writing thread.
    pub(super) fn flush(&self) {
        if let Some(lines) = &self.lines {
            lines.flush();
        }
    }
}

/// The telemetry as requests under one configuration see it, whose routes have numbers of their own.
#[derive(Debug)]
pub(super) struct Seen {
    telemetry: Rc<Telemetry>,
    numbers: Arc<[RouteId]>,
    traffic: Watch,
}

impl Seen {
    pub(super) fn new(telemetry: Rc<Telemetry>, components: &Components) -> Rc<Self> {
        Rc::new(Self {
            telemetry,
            numbers: components.numbers.clone(),
            traffic: components.traffic.clone(),
        })
    }

    /// Itself, if there is anything to tell it.
    pub(super) fn wanted(self: &Rc<Self>) -> Option<Rc<dyn Observer>> {
        let Telemetry { metrics, lines } = &*self.telemetry;
        let wanted = metrics.is_some() || lines.is_some() || !self.traffic.is_empty();
        wanted.then(|| self.clone() as Rc<dyn Observer>)
    }
}

impl Observer for Seen {
    fn started(&self) {
        if let Some(metrics) = &self.telemetry.metrics {
            metrics.started();
        }
    }

    fn finished(&self, done: &Finished<'_>) {
        let lasting = self.numbers.get(done.route.index()).copied();
        let lasting = Finished {
            route: lasting.unwrap_or_default(),
            ..*done
        };
        if let Some(metrics) = &self.telemetry.metrics {
            metrics.finished(&lasting);
        }
        if let Some(lines) = &self.telemetry.lines {
            lines.line(&lasting);
        }
        self.traffic.finished(done);
    }
}
