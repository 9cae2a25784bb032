//! What is known at one moment.

use std::sync::Arc;
use std::time::SystemTime;

use seaworthy_core::health::{self, App, State, Status, Verdict};
use serde_json::Value;

use crate::report::{Component, Report};
use crate::{Breakers, Features};

/// Whether requests reach the app, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They do.
    Open,
    /// They do not, for this reason.
    Closed(String),
}

/// Everything the views show.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The service's name.
    pub service: String,
    /// The service's version, if it has one.
    pub version: Option<String>,
    /// The word for Seaworthy's own phase, such as `running` or `draining`.
    pub state: &'static str,
    /// Whether the app takes requests, its dependencies aside.
    pub gate: Gate,
    /// It has been ready once.
    pub started: bool,
    /// When Seaworthy started.
    pub started_at: SystemTime,
    /// From start to first readiness.
    pub startup_ms: Option<u64>,
    /// One document for each instance of the app.
    pub instances: Vec<Value>,
    /// What the checks say.
    pub report: Arc<Report>,
    /// What is known of the app itself.
    pub app: App,
    /// Why the app counts as stalled, if liveness may say so.
    pub stalled: Option<String>,
    /// A closed gate of a check is worded only: readiness follows the word.
    pub gate_by_label: bool,
    /// The breakers of the traffic.
    pub breakers: Breakers,
    /// The features that can be on a fallback.
    pub features: Features,
}

impl Snapshot {
    /// What is known of a service that begins at `started_at`.
    pub fn new(service: String, version: Option<String>, started_at: SystemTime) -> Self {
        Self {
            service,
            version,
            state: "starting",
            gate: Gate::Closed("starting".to_owned()),
            started: false,
            started_at,
            startup_ms: None,
            instances: Vec::new(),
            report: Arc::new(Report::new(Vec::new())),
            app: App::Starting,
            stalled: None,
            gate_by_label: false,
            breakers: Breakers::default(),
            features: Features::default(),
        }
    }

    /// Who is to blame, if anybody.
    pub fn verdict(&self) -> Verdict {
        health::verdict(self.app, self.report.dependencies())
    }

    /// Whether a new start would help. No dependency can close this gate: what a broken one does to the app is not the app's
    /// fault.
    pub fn live(&self) -> Gate {
        match &self.stalled {
            Some(why) if self.verdict() == Verdict::AppBroken => Gate::Closed(why.clone()),
            _ => Gate::Open,
        }
    }

    /// Whether readiness passes: the app takes requests, and nothing critical is missing.
    pub fn is_ready(&self) -> bool {
        let whole = self.report.whole;
        let dependencies = if self.gate_by_label {
            whole.status < Status::Unhealthy
        } else {
            whole.open
        };
        self.gate == Gate::Open && dependencies
    }

    /// The word for the whole: an app that takes no requests is `unhealthy`, otherwise it is what the checks say.
    pub fn status(&self) -> Status {
        match self.gate {
            Gate::Open => self.report.whole.status,
            Gate::Closed(_) => Status::Unhealthy,
        }
    }

    /// Why the app takes no requests.
    pub fn own_reason(&self) -> Option<&str> {
        match &self.gate {
            Gate::Open => None,
            Gate::Closed(reason) => Some(reason),
        }
    }

    /// Why readiness does not pass, or what is not as it should be.
    pub fn reason(&self) -> Option<String> {
        if let Some(reason) = self.own_reason() {
            return Some(reason.to_owned());
        }
        let said =
            |component: &Arc<Component>| format!("{}: {}", component.name, component.message);
        self.report.culprit().map(said).or_else(|| {
            let worst = self.report.components.iter();
            let worst = worst.filter(|one| one.counts() && one.state != State::Ok);
            worst.max_by_key(|one| one.status).map(said)
        })
    }

    /// Seconds since the start.
    pub fn uptime_seconds(&self, now: SystemTime) -> u64 {
        now.duration_since(self.started_at)
            .map_or(0, |since| since.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_core::health::Weight;

    fn snapshot(gate: Gate, state: State, weight: Weight) -> Snapshot {
        let status = seaworthy_core::health::Words::default().status(state, weight);
        let mut db = Component::pending("db", "tcp", weight, status);
        db.state = state;
        "refused".clone_into(&mut db.message);
        let mut snapshot = Snapshot::new("shop".to_owned(), None, SystemTime::UNIX_EPOCH);
        snapshot.gate = gate;
        snapshot.report = Arc::new(Report::new(vec![Arc::new(db)]));
        snapshot
    }

    #[test]
    fn readiness_needs_the_app_and_what_is_critical() {
        let closed = Gate::Closed("shutting down".to_owned());
        for (gate, state, weight, ready, status, reason) in [
            (
                Gate::Open,
                State::Ok,
                Weight::Critical,
                true,
                Status::Healthy,
                None,
            ),
            (
                Gate::Open,
                State::Fail,
                Weight::Critical,
                false,
                Status::Unhealthy,
                Some("db: refused"),
            ),
            (
                Gate::Open,
                State::Fail,
                Weight::Optional,
                true,
                Status::Degraded,
                Some("db: refused"),
            ),
            (
                closed,
                State::Ok,
                Weight::Critical,
                false,
                Status::Unhealthy,
                Some("shutting down"),
            ),
        ] {
            let snapshot = snapshot(gate, state, weight);
            assert_eq!(
                (
                    snapshot.is_ready(),
                    snapshot.status(),
                    snapshot.reason().as_deref()
                ),
                (ready, status, reason)
            );
        }
    }

    #[test]
    fn liveness_fails_for_a_stalled_app_and_for_no_dependency() {
        for state in [
            State::Ok,
            State::Warn,
            State::Fail,
            State::TimedOut,
            State::Unknown,
        ] {
            let mut snapshot = snapshot(Gate::Open, state, Weight::Critical);
            snapshot.app = App::Running;
            assert_eq!(snapshot.live(), Gate::Open);
            snapshot.app = App::Stalled;
            snapshot.stalled = Some("no answer for 60 s".to_owned());
            assert_eq!(
                snapshot.live() == Gate::Open,
                !state.passes() || state == State::Unknown
            );
        }
    }

    #[test]
    fn a_dependency_in_doubt_is_not_known_to_work() {
        let mut snapshot = snapshot(Gate::Open, State::Ok, Weight::Critical);
        snapshot.app = App::Stalled;
        assert_eq!(snapshot.verdict(), Verdict::AppBroken);
        let mut db = (*snapshot.report.components[0]).clone();
        db.in_doubt = true;
        snapshot.report = Arc::new(Report::new(vec![Arc::new(db.clone())]));
        assert_eq!(snapshot.verdict(), Verdict::Unknown);
        db.about = health::About::App;
        snapshot.report = Arc::new(Report::new(vec![Arc::new(db)]));
        assert_eq!(snapshot.verdict(), Verdict::AppBroken);
    }

    #[test]
    fn a_gate_by_label_follows_the_word() {
        let mut gentle = snapshot(Gate::Open, State::Fail, Weight::Critical);
        let mut db = (*gentle.report.components[0]).clone();
        db.status = Status::Degraded;
        gentle.report = Arc::new(Report::new(vec![Arc::new(db)]));
        assert!(!gentle.is_ready());
        gentle.gate_by_label = true;
        assert!(gentle.is_ready());
    }
}
