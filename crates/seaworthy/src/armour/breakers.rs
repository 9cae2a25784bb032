//! The breakers by name, which outlive a configuration, and as documents.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use seaworthy_core::breaker::{self, Change, Mode, State, Steer};
use seaworthy_core::clock::Clock;
use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::{Metric, event, metric};
use seaworthy_core::quantity::Duration;
use seaworthy_core::route::RouteTable;
use seaworthy_health::{Features, Metadata};
use seaworthy_http::breaker::{Circuit, Circuits};
use seaworthy_http::cover::Cover;
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::metrics::Registry;
use serde::Serialize;

use super::errors::{Errors, Kind};
use crate::config::breakers::DEFAULT;
use crate::config::{Breaker, Config, Route};

/// What is shown of each breaker.
const SHOWN: [&Metric; 3] = [
    &metric::BREAKER_STATE,
    &metric::BREAKER_FAILURES,
    &metric::BREAKER_REJECTIONS,
];

/// Every breaker there is. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Breakers {
    clock: Clock,
    registry: Arc<Registry>,
    journal: Journal,
    errors: Errors,
    all: Arc<Mutex<BTreeMap<String, Arc<Circuit>>>>,
}

/// A breaker as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BreakerDocument {
    /// Its name.
    pub name: String,
    /// `closed`, `open`, `half_open`, `forced_open`, `forced_closed` or `disabled`.
    pub state: &'static str,
    /// Failures that count towards opening, or that opened it.
    pub failure_count: u32,
    /// How many failures open it; in the mode `rate` it is not a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<u32>,
    /// When it opens: `consecutive`, `count` or `rate`.
    pub mode: &'static str,
    /// How long it stays open, in seconds.
    pub recovery_s: f64,
    /// How long it has been in this state, in seconds.
    pub since_s: u64,
    /// When it changes by itself, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// Calls that failed since the start.
    pub failures_total: u64,
    /// Calls that were refused since the start.
    pub rejections_total: u64,
}

impl Breakers {
    pub(super) fn new(
        clock: Clock,
        registry: Arc<Registry>,
        journal: Journal,
        errors: Errors,
    ) -> Self {
        Self {
            clock,
            registry,
            journal,
            errors,
            all: Arc::default(),
        }
    }

    /// The breaker called `name`, made by these rules if there is none; one that there is keeps its state.
    pub fn adopt(&self, name: &str, rules: &Breaker) -> Arc<Circuit> {
        let mut all = self.all();
        if let Some(known) = all.get(name) {
            known.breaker.adjust(rules.rules());
            // What the file says of it changes with the file; what was said by hand stays.
            let is_off = known.breaker.state() == State::Disabled;
            match rules.steer() {
                Some(steer) => known.breaker.steer(steer, self.now()),
                None if is_off => known.breaker.steer(Steer::Reset, self.now()),
                None => {}
            }
            return known.clone();
        }
        let circuit = Arc::new(self.make(name, rules));
        all.insert(name.to_owned(), circuit.clone());
        circuit
    }

    /// Forgets those that nothing has any more: no section, and no way out.
    pub(super) fn retain(&self, config: &Config) {
        let ways: Vec<String> = (config.egress.iter())
            .filter_map(|one| Some(one.breaker(config)?.0))
            .collect();
        self.all().retain(|name, _| {
            let stays = config.breakers.contains_key(name) || ways.contains(name);
            if !stays {
                self.registry.forget(&SHOWN, name);
            }
            stays
        });
    }

    /// Which breaker a request of the app belongs to.
    pub fn circuits(&self, config: &Config, routes: &[Option<&Route>]) -> Circuits {
        if config.breakers.is_empty() {
            return Circuits::default();
        }
        let adopt = |name: &String| Some(self.adopt(name, config.breakers.get(name)?));
        let by_route = routes
            .iter()
            .map(|route| route.and_then(|route| adopt(route.breaker.as_ref()?)));
        let by_route = by_route.collect();
        let (mut patterns, mut by_pattern) = (Vec::new(), Vec::new());
        for (name, rules) in &config.breakers {
            let circuit = self.adopt(name, rules);
            for pattern in &rules.routes {
                patterns.push(pattern.as_str());
                by_pattern.push(circuit.clone());
            }
        }
        // Checked when the configuration was.
        let patterns = RouteTable::try_new(patterns).unwrap_or_default();
        let rest = adopt(&DEFAULT.to_owned());
        Arc::new(Cover::new(by_route, patterns, by_pattern, rest))
    }

    /// All of them, by name.
    pub fn documents(&self) -> Vec<BreakerDocument> {
        self.all().values().map(|one| self.document(one)).collect()
    }

    /// What the health of the service shows of them, by name.
    pub fn metadata(&self) -> Metadata {
        // `default` is for whatever has none: it is shown where it matters, when it is not closed.
        let all = self.documents().into_iter();
        let all = all.filter(|one| one.name != DEFAULT || one.state != State::Closed.word());
        let all = all.map(|one| {
            let document = serde_json::json!({
                "state": one.state,
                "failure_count": one.failure_count,
                "failure_threshold": one.failure_threshold,
                "recovery_s": one.recovery_s,
                "seconds_left": one.seconds_left,
            });
            (one.name, document)
        });
        all.collect()
    }

    /// Steers one; `None` when there is none of this name.
    pub fn steer(&self, name: &str, steer: Steer) -> Option<BreakerDocument> {
        let circuit = self.all().get(name)?.clone();
        // Outside of the lock: those who watch may look at all breakers.
        circuit.breaker.steer(steer, self.now());
        Some(self.document(&circuit))
    }

    fn document(&self, circuit: &Circuit) -> BreakerDocument {
        let (breaker, now) = (&circuit.breaker, self.now());
        let shown = breaker.show(now);
        let (mode, failure_threshold) = match shown.rules.mode {
            Mode::Consecutive { failures } => ("consecutive", Some(failures)),
            Mode::Count { failures } => ("count", Some(failures)),
            Mode::Rate { .. } => ("rate", None),
        };
        BreakerDocument {
            name: circuit.name.clone().into(),
            state: shown.state.word(),
            failure_count: shown.failures,
            failure_threshold,
            mode,
            recovery_s: shown.rules.open.as_secs_f64(),
            since_s: now.since(shown.since).as_secs(),
            seconds_left: shown.until.map(|until| until.since(now).as_secs()),
            failures_total: breaker.failed(),
            rejections_total: breaker.refused(),
        }
    }

    fn make(&self, name: &str, rules: &Breaker) -> Circuit {
        let (journal, label) = (self.journal.clone(), name.to_owned());
        let feature = rules.feature.clone();
        let latest = Mutex::new(None);
        let watch = move |change: &Change| {
            journal.record(told(&label, change));
            if let Some(feature) = &feature {
                // Held meanwhile: two changes may be told the other way round, and the later one is what holds.
                let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                if is_later(change.generation, *latest) {
                    *latest = Some(change.generation);
                    mark(feature, &label, change, &journal);
                }
            }
        };
        let seed = fastrand::u64(..);
        let breaker = breaker::Breaker::new(rules.rules(), seed).watched(watch);
        let breaker = Arc::new(breaker);
        if let Some(steer) = rules.steer() {
            breaker.steer(steer, self.now());
        }
        self.count(name, &breaker);
        Circuit {
            name: name.into(),
            breaker,
            watch: Some(self.errors.service(Kind::Breaker, name)),
        }
    }

    fn count(&self, name: &str, breaker: &Arc<breaker::Breaker>) {
        // Counters are exact in a float up to 2^53.
        #[allow(clippy::cast_precision_loss)]
        let float = |count: u64| count as f64;
        let registry = &self.registry;
        let one = breaker.clone();
        registry.read(&metric::BREAKER_STATE, &[name], move || {
            f64::from(one.state().level())
        });
        let one = breaker.clone();
        registry.read(&metric::BREAKER_FAILURES, &[name], move || {
            float(one.failed())
        });
        let one = breaker.clone();
        registry.read(&metric::BREAKER_REJECTIONS, &[name], move || {
            float(one.refused())
        });
    }

    fn now(&self) -> seaworthy_core::clock::Moment {
        self.clock.at(std::time::Instant::now())
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Circuit>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change in the words of events.
fn told(name: &str, change: &Change) -> Event {
    let lasts = change
        .lasts
        .map(|time| Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
    let (event, level, cause, next) = match change.to {
        State::Open => (
            event::BREAKER_OPENED,
            Level::Warn,
            "is open",
            lasts.map(|time| format!("calls are refused for {time}, then a probe is let through")),
        ),
        State::HalfOpen => (
            event::BREAKER_HALF_OPEN,
            Level::Info,
            "is half-open",
            lasts.map(|time| format!("probes have {time} to succeed")),
        ),
        State::ForcedOpen => (
            event::BREAKER_OPENED,
            Level::Warn,
            "is held open",
            Some("calls are refused until it is reset".to_owned()),
        ),
        State::Closed => (event::BREAKER_CLOSED, Level::Info, "is closed", None),
        State::ForcedClosed | State::Disabled => (
            event::BREAKER_CLOSED,
            Level::Info,
            "is held closed",
            Some("calls pass whatever comes of them".to_owned()),
        ),
    };
    Event::new(event, format!("the breaker {name} {cause}"))
        .with_level(level)
        .with_evidence(change.cause.to_string())
        .with_next(next.unwrap_or_default())
}

/// Whether a change comes after the latest that was told. Generations begin anew after the last of their numbers.
fn is_later(generation: u32, latest: Option<u32>) -> bool {
    latest.is_none_or(|latest| generation.wrapping_sub(latest).cast_signed() > 0)
}

/// A breaker that refuses is a feature that cannot be had.
fn mark(feature: &str, name: &str, change: &Change, journal: &Journal) {
    let features = Features::global();
    // What it was before may never be told.
    let reason = format!("the breaker {name} is open");
    let is_marked = features
        .fallback(feature)
        .is_some_and(|held| held.reason == reason);
    if change.to.refuses() && !is_marked {
        // Its names were checked with the configuration.
        if features
            .fall_back(feature, Some("unavailable"), &reason, None)
            .is_ok()
        {
            let words = format!("the feature {feature} is degraded");
            let event = Event::new(event::FEATURE_DEGRADED, words);
            journal.record(event.with_level(Level::Warn).with_evidence(reason));
        }
    } else if !change.to.refuses() && features.recover(feature) {
        let words = format!("the feature {feature} is as it should be again");
        let event = Event::new(event::FEATURE_RECOVERED, words);
        journal.record(event.with_evidence(format!("the breaker {name} has closed")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_is_told_late_says_nothing() {
        for (generation, latest, later) in [
            (1, None, true),
            (2, Some(1), true),
            (1, Some(2), false),
            (2, Some(2), false),
            (0, Some(u32::MAX), true),
            (u32::MAX, Some(0), false),
        ] {
            assert_eq!(
                is_later(generation, latest),
                later,
                "{generation} {latest:?}"
            );
        }
    }
}
