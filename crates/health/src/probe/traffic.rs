//! Whether requests of a route succeed: the app's own work is the best evidence that it can do it.
//!
//! Nothing is asked of the app. Whoever carries the requests lets a [`Watch`] see each of them; a success is an answer of 2xx
//! that came whole. Without requests nothing is known against the app. That holds after failures too: one that is out of
//! rotation gets no requests, and would never be asked again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration as Std, Instant, SystemTime};

use schemars::JsonSchema;
use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::health::About;
use seaworthy_core::quantity::Duration;
use seaworthy_core::route::{RouteId, RouteTable};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Around, Fault, Probe, judge_key};
use crate::{Check, Outcome, Running, clock};

/// Counts the requests of a route that succeed, and fails when for some time none of those that come does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Which requests: a pattern as in `routes`, such as `POST /v1/predict*`.
    pub route: String,
    /// The names under which the facts are shown.
    #[serde(default)]
    pub fields: Fields,
    /// Unhealthy when requests have come for so long and none has succeeded. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_after: Option<Duration>,
}

/// The names under which the facts are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    /// For the time of the last success. Default `last_success_at`.
    pub last_success_at: String,
    /// For the number of successes. Default `success_total`.
    pub success_total: String,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            last_success_at: "last_success_at".to_owned(),
            success_total: "success_total".to_owned(),
        }
    }
}

/// What became of the requests of one route. Times are milliseconds after the beginning, from 1; 0 is never.
#[derive(Debug)]
struct Tally {
    began: (Instant, SystemTime),
    successes: AtomicU64,
    last_success: AtomicU64,
    last_failure: AtomicU64,
    /// The first failure after the last success.
    failing_since: AtomicU64,
}

impl Tally {
    fn new() -> Self {
        Self {
            began: (clock::now(), SystemTime::now()),
            successes: AtomicU64::new(0),
            last_success: AtomicU64::new(0),
            last_failure: AtomicU64::new(0),
            failing_since: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        let passed = clock::now()
            .saturating_duration_since(self.began.0)
            .as_millis();
        u64::try_from(passed).map_or(u64::MAX, |passed| passed.saturating_add(1))
    }

    fn take(&self, is_success: bool) {
        let now = self.now();
        if is_success {
            self.successes.fetch_add(1, Ordering::Relaxed);
            self.last_success.store(now, Ordering::Relaxed);
            self.failing_since.store(0, Ordering::Relaxed);
        } else {
            self.last_failure.store(now, Ordering::Relaxed);
            // Whoever comes second finds it set, and it stays.
            let since = &self.failing_since;
            since
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
                .ok();
        }
    }

    fn last_success(&self) -> Option<SystemTime> {
        let last = self.last_success.load(Ordering::Relaxed);
        (last > 0).then(|| self.began.1 + Std::from_millis(last))
    }

    /// Whether requests still come, and have all failed for `limit`.
    fn failing(&self, limit: Std) -> bool {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        let since = self.failing_since.load(Ordering::Relaxed);
        let still = now.saturating_sub(self.last_failure.load(Ordering::Relaxed)) < limit;
        since > 0 && still && now.saturating_sub(since) >= limit
    }
}

/// The tallies of this process by route: a check and whoever carries requests find the same one.
fn tallies() -> MutexGuard<'static, BTreeMap<String, Arc<Tally>>> {
    static GLOBAL: OnceLock<Mutex<BTreeMap<String, Arc<Tally>>>> = OnceLock::new();
    let tallies = GLOBAL.get_or_init(Mutex::default);
    tallies.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees requests for the checks of some routes. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<[(RouteTable, Arc<Tally>)]>);

impl Watch {
    /// Watches these routes. One that is no pattern is watched by nobody; its check refuses it.
    pub fn new<'a>(routes: impl IntoIterator<Item = &'a str>) -> Self {
        let watched = routes.into_iter().filter_map(|route| {
            let table = RouteTable::try_new([route]).ok()?;
            let mut tallies = tallies();
            let tally = tallies.entry(route.to_owned());
            let tally = tally.or_insert_with(|| Arc::new(Tally::new()));
            Some((table, tally.clone()))
        });
        Self(watched.collect())
    }

    /// Whether nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Observer for Watch {
    fn started(&self) {}

    fn finished(&self, done: &Finished<'_>) {
        if done.view {
            return;
        }
        for (table, tally) in self.0.iter() {
            if table.find(done.method, done.path) != RouteId::UNMATCHED {
                tally.take(!done.cut && (200..300).contains(&done.status));
            }
        }
    }
}

impl Probe for Traffic {
    const KIND: &'static str = "traffic";
    const ABOUT: About = About::App;

    fn faults(&self, _: &Around, faults: &mut Vec<Fault>) {
        if let Err(error) = RouteTable::try_new([&self.route]) {
            let help = "write it as in `routes`, such as `POST /v1/predict*`";
            faults.push(Fault::new("route", error.to_string(), help));
        }
        judge_key("fields", &self.fields.last_success_at, faults);
        judge_key("fields", &self.fields.success_total, faults);
        if self.stale_after.is_some_and(Duration::is_zero) {
            let message = "every request is older than that";
            faults.push(Fault::new("stale_after", message, "write it as `5m`"));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        Arc::new(Succeeds {
            tally: tallies().get(&self.route).cloned(),
            options: self.clone(),
        })
    }
}

struct Succeeds {
    options: Traffic,
    tally: Option<Arc<Tally>>,
}

impl Check for Succeeds {
    fn kind(&self) -> &'static str {
        Traffic::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(std::future::ready(self.look()))
    }
}

impl Succeeds {
    fn look(&self) -> Outcome {
        let Some(tally) = &self.tally else {
            return Outcome::unknown("its requests are counted once the file names the check");
        };
        let successes = tally.successes.load(Ordering::Relaxed);
        let limit = self.options.stale_after;
        let failing = limit.filter(|limit| tally.failing(limit.get()));
        let outcome = match failing {
            Some(limit) => {
                Outcome::unhealthy(format!("no request has succeeded for more than {limit}"))
            }
            None if successes == 0 => Outcome::healthy("no request has succeeded yet"),
            None => Outcome::healthy("requests succeed"),
        };
        let last = tally.last_success().map_or(Value::Null, |last| {
            let last = jiff::Timestamp::try_from(last).unwrap_or_default();
            last.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
        });
        outcome
            .with(&self.options.fields.last_success_at, last)
            .with(&self.options.fields.success_total, successes)
    }
}

#[cfg(test)]
mod tests {
    use seaworthy_core::health::State;

    use super::*;

    fn finished<'a>(method: &'a str, path: &'a str, status: u16) -> Finished<'a> {
        Finished {
            method,
            path,
            version: "HTTP/1.1",
            route: RouteId::UNMATCHED,
            status,
            bytes_in: 0,
            bytes_out: 0,
            duration: Std::ZERO,
            first_byte: None,
            client: None,
            request_id: b"",
            trace: None,
            user_agent: None,
            error: None,
            cut: false,
            view: false,
        }
    }

    fn succeeds(route: &str, stale_after: Option<Duration>) -> Succeeds {
        Succeeds {
            options: Traffic {
                route: route.to_owned(),
                fields: Fields::default(),
                stale_after,
            },
            tally: tallies().get(route).cloned(),
        }
    }

    #[test]
    fn only_whole_answers_of_2xx_of_the_route_count() {
        let (watch, check) = (Watch::new(["POST /a*"]), succeeds("POST /a*", None));
        assert_eq!(check.look().metadata["last_success_at"], Value::Null);
        let view = Finished {
            view: true,
            ..finished("POST", "/a", 200)
        };
        let cut = Finished {
            cut: true,
            ..finished("POST", "/a", 200)
        };
        let others = [
            finished("GET", "/a", 200),
            finished("POST", "/b", 200),
            finished("POST", "/a", 500),
        ];
        for done in others.iter().chain([&view, &cut]) {
            watch.finished(done);
        }
        assert_eq!(check.look().metadata["success_total"], 0);
        for path in ["/a", "/ab"] {
            watch.clone().finished(&finished("POST", path, 201));
        }
        let outcome = check.look();
        assert_eq!(outcome.metadata["success_total"], 2);
        assert!(outcome.metadata["last_success_at"].is_string());
        assert_eq!(outcome.state, State::Ok);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_count_after_a_while_and_only_while_they_go_on() {
        let limit = Std::from_millis(100);
        let (watch, check) = (Watch::new(["/c"]), succeeds("/c", Some(limit.into())));
        let fail = || watch.finished(&finished("GET", "/c", 503));
        fail();
        assert_eq!(check.look().state, State::Ok, "once is not for long");
        tokio::time::advance(limit).await;
        assert_eq!(check.look().state, State::Ok, "nobody has asked since");
        fail();
        assert_eq!(check.look().state, State::Fail);
        watch.finished(&finished("GET", "/c", 200));
        assert_eq!(check.look().state, State::Ok);
    }
}
