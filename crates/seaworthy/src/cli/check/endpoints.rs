//! The health endpoints of a service, asked as a balancer would.
//!
//! Paths are tried from the usual to the rare; the first one whose answer tells health is the endpoint. What an answer means is
//! read by the check of kind `upstream`, so that a word is understood here when it is understood there.

use std::time::{Duration, Instant};

use clap::Args;
use seaworthy_core::dsn::Dsn;
use seaworthy_core::health::State;
use seaworthy_health::probe::http::Headers;
use seaworthy_health::probe::upstream::{Depth, Propagate, Upstream};
use seaworthy_health::{Check as _, Metadata, Outcome};

use super::{Finding, Status};
use crate::failure::Failure;

/// An orchestrator's probe has a second by default; one that needs a fifth of it alone is in danger under load.
const SLOW: Duration = Duration::from_millis(200);
/// No probe waits longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `check endpoints`.
#[derive(Args, Clone, Debug)]
pub struct EndpointsArgs {
    /// Where the service is, such as `http://localhost:8000`
    #[arg(long, value_name = "URL")]
    pub url: Dsn,
}

/// One question to the service.
struct Question {
    name: &'static str,
    paths: &'static [&'static str],
    /// How it is when no path answers.
    missing: Status,
    /// What to do then.
    provide: &'static str,
    /// What to do when the answer is bad.
    mend: &'static str,
}

const QUESTIONS: [Question; 4] = [
    Question {
        name: "live",
        paths: &[
            "/health/live",
            "/livez",
            "/v1/healthz",
            "/live",
            "/healthz",
            "/health",
        ],
        missing: Status::Fail,
        provide: "answer a path such as /health/live; `seaworthy run` does",
        mend: "the process itself does not get on: restart it, and look at its log",
    },
    Question {
        name: "ready",
        paths: &["/health/ready", "/readyz", "/v1/readyz", "/ready"],
        missing: Status::Fail,
        provide: "answer a path such as /health/ready; `seaworthy run` does",
        mend: "see what is missing: `seaworthy health`, or its detailed view",
    },
    Question {
        name: "startup",
        paths: &["/health/startup", "/startupz"],
        missing: Status::Warn,
        provide: "a startup probe keeps a slow start from being killed; answer /health/startup",
        mend: "it has not been ready yet: wait, or look at its log",
    },
    Question {
        name: "detail",
        paths: &[
            "/health/detailed",
            "/health/check",
            "/v1/healthz/detailed",
            "/health",
        ],
        // Strangers need none.
        missing: Status::Pass,
        provide: "",
        mend: "see what is missing: `seaworthy health`, or this view",
    },
];

/// Asks all questions, one after the other.
pub(super) async fn look(args: &EndpointsArgs) -> anyhow::Result<Vec<Finding>> {
    let base = &args.url;
    if !["http", "https"].contains(&base.scheme()) {
        return Err(Failure::usage("the URL begins with http:// or https://").into());
    }
    let mut found = Vec::new();
    for question in QUESTIONS {
        found.push(question.ask(base).await?);
    }
    Ok(found)
}

impl Question {
    async fn ask(&self, base: &Dsn) -> anyhow::Result<Finding> {
        let mut heard = false;
        let begun = Instant::now();
        for path in self.paths {
            let start = Instant::now();
            let outcome = ask(base, path).await?;
            let took = start.elapsed();
            if outcome.metadata.contains_key("upstream_status") {
                return Ok(self.judge(path, outcome, took));
            }
            let answered = outcome.metadata.contains_key("status_code");
            // Who does not even answer is not asked for the other paths.
            if !answered && !heard {
                return Err(Failure::unreachable(format!(
                    "{}:{} does not answer: {}; check --url and whether the service runs",
                    base.host(),
                    base.port_or(if base.scheme() == "https" { 443 } else { 80 }),
                    outcome.message
                ))
                .into());
            }
            heard = true;
        }
        let message = match self.missing {
            Status::Pass => "nothing is told of what the service depends on".to_owned(),
            _ => format!("none of {} tells health", self.paths.join(", ")),
        };
        Ok(Finding {
            name: self.name,
            status: self.missing,
            message,
            fix: (!self.provide.is_empty()).then(|| self.provide.to_owned()),
            metadata: Metadata::new(),
            took: begun.elapsed(),
        })
    }

    fn judge(&self, path: &str, outcome: Outcome, took: Duration) -> Finding {
        let state = match outcome.state {
            State::Ok => Status::Pass,
            State::Warn => Status::Warn,
            State::Fail | State::TimedOut | State::Unknown => Status::Fail,
        };
        let slow = took > SLOW;
        let (status, fix) = match state {
            Status::Pass if slow => (
                Status::Warn,
                Some("it is slow: answer probes from a snapshot, outside every queue"),
            ),
            Status::Pass => (Status::Pass, None),
            bad => (bad, Some(self.mend)),
        };
        let mut metadata = outcome.metadata;
        metadata.insert("path".to_owned(), path.into());
        Finding {
            name: self.name,
            status,
            message: format!("{path}: {}", outcome.message),
            fix: fix.map(str::to_owned),
            metadata,
            took,
        }
    }
}

async fn ask(base: &Dsn, path: &str) -> anyhow::Result<Outcome> {
    let url = base.expose().join(path)?;
    let upstream = Upstream {
        url: url.as_str().parse()?,
        propagate: Propagate::Same,
        headers: Headers::default(),
        ca: None,
    };
    // Nobody has asked us, so this is the first question of its chain.
    let check = upstream.asking(&Depth::default());
    let outcome = tokio::time::timeout(PATIENCE, check.run()).await;
    Ok(outcome.unwrap_or_else(|_| Outcome::timed_out("no answer within 5 s")))
}
