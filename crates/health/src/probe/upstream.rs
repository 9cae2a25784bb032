//! The health of another service, in whatever shape it tells it.
//!
//! Two services that ask for each other's health would each wait for the other to be well. So every question says how deep it
//! is: one deeper than the deepest that has been asked of us lately ([`Depth`]). In a chain that is the length of the chain; in a
//! circle it grows with every round, until somebody does not ask for a minute and says so. That only degrades, so that the circle
//! can become well again. It is no proof: after the minute the circle is found anew.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use seaworthy_core::health::Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::{Answer, Client, Headers};
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome, Running, clock};

/// Asks another service for its health. It understands the documents of Seaworthy in all formats, and
/// `application/health+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upstream {
    /// Where it tells its health, such as `http://orders:8000/health/ready`.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// What its state means for us. Default `same`.
    #[serde(default)]
    pub propagate: Propagate,
    /// Fields of the request. Their values are never shown.
    #[serde(default)]
    pub headers: Headers,
    /// A file of PEM certificates that are trusted instead of those of the system. Default: those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// What the state of another service means for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Propagate {
    /// What it is itself.
    #[default]
    Same,
    /// Degraded, when it says that it is not healthy. When it says nothing, that is a failure all the same.
    Degraded,
}

/// How deep the questions were that others have asked about our health. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Depth(Arc<Mutex<Option<(u8, Instant)>>>);

impl Depth {
    /// The field that says how deep a question is, counted from 1. One without it is not part of a chain.
    pub const FIELD: HeaderName = HeaderName::from_static("x-health-depth");
    /// Deeper questions are not asked.
    pub const MOST: u8 = 5;
    /// A question counts for this long.
    const MEMORY: Duration = Duration::from_secs(60);

    /// That of this process.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Depth> = OnceLock::new();
        GLOBAL.get_or_init(Self::default)
    }

    /// Somebody has asked with this value of [`Depth::FIELD`]. What is not a number is ignored. A stranger who lies here can
    /// keep us from asking, so only call this for peers that are trusted.
    pub fn asked(&self, value: &str) {
        let Ok(depth) = value.trim().parse::<u64>() else {
            return;
        };
        let depth = u8::try_from(depth).unwrap_or(u8::MAX).min(Self::MOST);
        let now = clock::now();
        let deepest = self.deepest(now);
        if depth >= deepest {
            *self.slot() = Some((depth, now));
        }
    }

    fn deepest(&self, now: Instant) -> u8 {
        let fresh = |at: Instant| now.saturating_duration_since(at) < Self::MEMORY;
        match *self.slot() {
            Some((depth, at)) if fresh(at) => depth,
            _ => 0,
        }
    }

    /// How deep our own question is; `None` when it would be too deep.
    fn next(&self) -> Option<u8> {
        let next = self.deepest(clock::now()) + 1;
        (next <= Self::MOST).then_some(next)
    }

    fn slot(&self) -> MutexGuard<'_, Option<(u8, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream {
    /// The check, with a depth of one's own.
    pub fn asking(&self, depth: &Depth) -> Arc<dyn Check> {
        let mut fields = HeaderMap::new();
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        fields.extend(self.headers.to_map());
        let client = Client::new(&self.url, Method::GET, fields, self.ca.clone());
        Arc::new(Asks {
            via: client.shown(),
            client,
            propagate: self.propagate,
            depth: depth.clone(),
        })
    }
}

impl Probe for Upstream {
    const KIND: &'static str = "upstream";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, &["http", "https"], around, faults);
        self.headers.faults(faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        self.asking(Depth::global())
    }
}

struct Asks {
    client: Client,
    via: String,
    propagate: Propagate,
    depth: Depth,
}

impl Check for Asks {
    fn kind(&self) -> &'static str {
        Upstream::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            let outcome = match self.depth.next() {
                None => Outcome::degraded(
                    "not asked: health is passed on in a circle or through more than 5 services",
                ),
                Some(depth) => {
                    let further = HeaderMap::from_iter([(Depth::FIELD, u16::from(depth).into())]);
                    match self.client.ask(further).await {
                        Ok(answer) => self.judge(&answer),
                        Err(outcome) => outcome,
                    }
                }
            };
            outcome.with("via", self.via.as_str())
        })
    }
}

impl Asks {
    fn judge(&self, answer: &Answer) -> Outcome {
        let passes = (200..400).contains(&answer.code);
        let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let Some(word) = document.as_ref().and_then(word) else {
            return Outcome::unhealthy(if answer.cut {
                "its answer is longer than 64 KiB".to_owned()
            } else if passes {
                "its answer does not tell its health".to_owned()
            } else {
                format!("Status code: {}", answer.code)
            })
            .with("status_code", answer.code);
        };
        let message = format!("it is {}", word.word());
        let outcome = match (passes, word, self.propagate) {
            (true, Status::Healthy, _) => Outcome::healthy(message),
            (true, Status::Degraded, _) => Outcome::degraded(message),
            (true, Status::Unhealthy, Propagate::Same) => Outcome::unhealthy(message),
            (false, _, Propagate::Same) => {
                let message = format!("it is not ready ({})", word.word());
                let outcome = Outcome::unhealthy(message);
                // It takes no requests and calls that degraded; so do we.
                match word {
                    Status::Degraded => outcome.worded(Status::Degraded),
                    Status::Healthy | Status::Unhealthy => outcome,
                }
            }
            (true, Status::Unhealthy, Propagate::Degraded) => Outcome::degraded(message),
            (false, _, Propagate::Degraded) => {
                Outcome::degraded(format!("it is not ready ({})", word.word()))
            }
        };
        outcome
            .with("status_code", answer.code)
            .with("upstream_status", word.word())
    }
}

/// The word of a document, whichever vocabulary it is from.
fn word(document: &Value) -> Option<Status> {
    let word = document.get("status")?.as_str()?;
    let known = [
        (
            Status::Healthy,
            &["healthy", "alive", "pass", "ok", "up"][..],
        ),
        (Status::Degraded, &["degraded", "warn"]),
        (Status::Unhealthy, &["unhealthy", "fail", "error", "down"]),
    ];
    let is = |one: &str| word.eq_ignore_ascii_case(one);
    let found = known
        .iter()
        .find(|(_, words)| words.iter().any(|one| is(one)));
    found.map(|(status, _)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_grows_in_a_circle_until_one_does_not_ask() {
        let (here, there) = (Depth::default(), Depth::default());
        let mut asked = Vec::new();
        for _ in 0..4 {
            for (from, to) in [(&here, &there), (&there, &here)] {
                if let Some(depth) = from.next() {
                    to.asked(&depth.to_string());
                    asked.push(depth);
                }
            }
        }
        // One of them has stopped, and the other is still told what it knows.
        assert_eq!(asked, [1, 2, 3, 4, 5, 5]);
        assert_eq!((here.next(), there.next()), (Some(5), None));
    }

    #[test]
    fn nonsense_is_no_depth() {
        let depth = Depth::default();
        for value in ["", "x", "-1", "1.5", "99999999999999999999999"] {
            depth.asked(value);
        }
        assert_eq!(depth.next(), Some(1));
        depth.asked("1000");
        assert_eq!(depth.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_long_ago_does_not_count() {
        let depth = Depth::default();
        depth.asked("4");
        depth.asked("2");
        assert_eq!(depth.next(), Some(5));
        tokio::time::advance(Depth::MEMORY).await;
        assert_eq!(depth.next(), Some(1));
    }
}
