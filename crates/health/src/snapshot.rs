//! What is known at one moment.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::View;

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
    /// The gate of readiness.
    pub gate: Gate,
    /// The app has been ready once.
    pub started: bool,
    /// When Seaworthy started.
    pub started_at: SystemTime,
    /// From start to first readiness.
    pub startup_ms: Option<u64>,
    /// One document for each instance of the app.
    pub instances: Vec<Value>,
}

impl Snapshot {
    /// Status code and document of a view at `now`; the metrics are not a document and have none.
    pub fn render(&self, view: View, now: SystemTime) -> Option<(u16, Value)> {
        let ready = if self.gate == Gate::Open { 200 } else { 503 };
        Some(match view {
            View::Live => (200, self.head("healthy", None, now)),
            View::Ready => (ready, self.head(self.word(), self.reason(), now)),
            View::Startup if self.started => (200, self.head("healthy", None, now)),
            View::Startup => (
                503,
                self.head("unhealthy", Some("the app has not been ready yet"), now),
            ),
            View::Detailed => (ready, self.detailed(now)),
            View::Summary => (200, self.summary(now)),
            View::Metrics => return None,
        })
    }

    /// `healthy` or `unhealthy`, after the gate.
    pub fn word(&self) -> &'static str {
        if self.gate == Gate::Open {
            "healthy"
        } else {
            "unhealthy"
        }
    }

    fn reason(&self) -> Option<&str> {
        match &self.gate {
            Gate::Open => None,
            Gate::Closed(reason) => Some(reason),
        }
    }

    fn head(&self, status: &str, message: Option<&str>, now: SystemTime) -> Value {
        let mut document = json!({
            "status": status,
            "service": self.service,
            "checked_at": timestamp(now),
        });
        if let Some(message) = message {
            document["message"] = message.into();
        }
        document
    }

    fn detailed(&self, now: SystemTime) -> Value {
        let mut document = self.head(self.word(), self.reason(), now);
        document["version"] = self.version.clone().into();
        document["state"] = self.state.into();
        document["uptime_seconds"] = self.uptime(now).into();
        document["components"] = json!([{
            "name": "app",
            "status": self.word(),
            "message": self.reason().unwrap_or("ready"),
            "critical": true,
            "metadata": {"instances": self.instances},
        }]);
        document
    }

    fn summary(&self, now: SystemTime) -> Value {
        let mut document = self.head(self.word(), self.reason(), now);
        document["state"] = self.state.into();
        document["uptime_seconds"] = self.uptime(now).into();
        document["startup"] = json!({
            "started_at": timestamp(self.started_at),
            "duration_ms": self.startup_ms,
        });
        document
    }

    fn uptime(&self, now: SystemTime) -> u64 {
        now.duration_since(self.started_at)
            .map_or(0, |since| since.as_secs())
    }
}

fn timestamp(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(gate: Gate, started: bool) -> Snapshot {
        Snapshot {
            service: "shop".to_owned(),
            version: None,
            state: "running",
            gate,
            started,
            started_at: SystemTime::UNIX_EPOCH,
            startup_ms: None,
            instances: Vec::new(),
        }
    }

    #[test]
    fn codes_follow_gate_and_latch() {
        let closed = Gate::Closed("shutting down".to_owned());
        for (gate, started, live, ready, startup) in [
            (Gate::Open, true, 200, 200, 200),
            (closed.clone(), true, 200, 503, 200),
            (closed, false, 200, 503, 503),
        ] {
            let snapshot = snapshot(gate, started);
            let code = |view| {
                snapshot
                    .render(view, SystemTime::UNIX_EPOCH)
                    .map(|(code, _)| code)
            };
            assert_eq!(code(View::Live), Some(live));
            assert_eq!(code(View::Ready), Some(ready));
            assert_eq!(code(View::Startup), Some(startup));
            assert_eq!(code(View::Detailed), Some(ready));
            assert_eq!(code(View::Summary), Some(200));
            assert_eq!(code(View::Metrics), None);
        }
    }

    #[test]
    fn a_closed_gate_says_why() {
        let document = snapshot(Gate::Closed("shutting down".to_owned()), true)
            .render(View::Ready, SystemTime::UNIX_EPOCH)
            .expect("a document")
            .1;
        assert_eq!(
            document,
            json!({"status": "unhealthy", "service": "shop", "checked_at": "1970-01-01T00:00:00Z", "message": "shutting down"})
        );
    }
}
