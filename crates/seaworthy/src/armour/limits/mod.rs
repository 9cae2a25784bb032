//! The rate limits of a service: built once, shared by all workers, shown, and reset by hand.

mod build;
mod calls;
mod document;
mod store;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_core::names::{Metric, metric};
use seaworthy_core::principal::{Kind, Principal};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::limit::{Chosen, Keyed, Keys, Limits, Part, Policy};
use seaworthy_telemetry::metrics::Registry;

use crate::config::Config;

use build::Built;
pub use calls::Calls;
pub use document::{CandidateDocument, LimitDocument, LimitsDocument, ResetDocument};

/// How long a worker waits for its first connection to Redis before it accepts requests.
const FIRST: Duration = Duration::from_millis(500);
/// Sets of buckets that are looked through at a time for those that are full again.
const TIDIED: usize = 4096;

/// What is shown of each limit.
const SHOWN: [&Metric; 3] = [
    &metric::RATE_LIMITER_REQUESTS,
    &metric::RATE_LIMITER_BUCKETS,
    &metric::RATE_LIMITER_DENIALS,
];

/// The limits, and where their buckets live.
#[derive(Debug, Clone, Default)]
pub struct Limiting {
    limits: Option<Arc<Limits>>,
    /// Opened when there is the first limit, and kept.
    store: Option<Chosen>,
}

impl Limiting {
    /// What `config` asks for, in the place of these; nothing where it asks for nothing. Where buckets live does not change.
    pub fn succeeded_by(&self, config: &Config, clock: Clock, registry: &Arc<Registry>) -> Self {
        let this = self.next(config, clock);
        for gone in self.all().map(|policy| policy.name()) {
            if this.all().all(|policy| policy.name() != gone) {
                registry.forget(&SHOWN, gone);
            }
        }
        if this.limits.is_some() {
            this.count(registry);
        }
        this
    }

    fn next(&self, config: &Config, clock: Clock) -> Self {
        let before = self.limits.as_deref();
        let (built, identify) = (Built::of(config, before), build::identify(config));
        if built.is_empty() {
            let store = self.store.clone();
            return Self {
                limits: None,
                store,
            };
        }
        let limits = Limits {
            tiers: built.tiers.into(),
            policies: built.policies.into(),
            rules: built.rules.into(),
            keys: before.map_or_else(
                || Keys::new(identify.clone()),
                |before| before.keys.identifying(identify.clone()),
            ),
            fields: build::fields(config),
            clock,
        };
        Self {
            limits: Some(Arc::new(limits)),
            store: match &self.store {
                Some(store) => Some(store.clone()),
                None => Some(store::open(config, clock)),
            },
        }
    }

    /// The limits, if there are any.
    pub fn limits(&self) -> Option<Arc<Limits>> {
        self.limits.clone()
    }

    /// The store as the worker of this number uses it, which may have `attached` to it before. The first connection is waited for,
    /// but not for long: a service starts without its Redis, too.
    pub async fn of_worker(&self, worker: usize, attached: Option<Chosen>) -> Chosen {
        match (&self.store, attached) {
            (_, Some(Chosen::Redis(attached))) => Chosen::Redis(attached),
            (Some(Chosen::Redis(store)), _) => {
                let store = store.of_worker(worker);
                store.attach(FIRST).await;
                Chosen::Redis(store)
            }
            (Some(Chosen::Memory(_)) | None, _) => Chosen::default(),
        }
    }

    /// The store as threads of one runtime share it, which the caller is on. Its first connection is not waited for.
    pub fn anywhere(&self) -> Chosen {
        let store = self.store.clone().unwrap_or_default();
        if let Chosen::Redis(store) = &store {
            let store = store.clone();
            tokio::spawn(async move { store.attach(FIRST).await });
        }
        store
    }

    /// Forgets full buckets.
    pub(super) fn sweep(&self, now: Moment) {
        for policy in self.all() {
            policy.tidy(TIDIED, now);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.limits.iter().flat_map(|limits| limits.all())
    }

    fn count(&self, registry: &Registry) {
        let all: Vec<Arc<Policy>> = self.all().cloned().collect();
        count_limits(&all, registry);
        let store = self.store.clone();
        registry.read(&metric::RATE_LIMITER_FALLBACK, &[], move || {
            f64::from(u8::from(is_alone(store.as_ref())))
        });
    }

    /// Fills all buckets of a caller: an address, `jwt:alice`, `api_key:HASH`, `header:7`, or what a field names. Returns the limits
    /// that had one here.
    pub async fn reset(&self, caller: &str) -> Vec<String> {
        let Some(limits) = &self.limits else {
            return Vec::new();
        };
        let mut filled = Vec::new();
        for policy in limits.all() {
            let keyed = &policy.config().keyed;
            let (exchange, headers) = pretend(caller, keyed);
            let Some(key) = limits.keys.key(keyed, &exchange, &headers) else {
                continue;
            };
            let local = policy.local().is_some_and(|local| local.reset(key.0));
            if let Some(tried) = policy.candidate() {
                tried.buckets.reset(key.0);
            }
            if let (Some(Chosen::Redis(store)), Some(who)) =
                (&self.store, limits.keys.text(keyed, &exchange, &headers))
            {
                store.reset(policy, key, &who).await;
            }
            if local {
                filled.push(policy.name().to_owned());
            }
        }
        filled
    }
}

/// Shows what limits have decided among the metrics.
pub fn count_limits(all: &[Arc<Policy>], registry: &Registry) {
    // Counters are exact in a float up to 2^53.
    #[allow(clippy::cast_precision_loss)]
    let float = |count: u64| count as f64;
    let mut told: Vec<&str> = Vec::new();
    for policy in all {
        // Limits of several routes have one name, and are told as one.
        let name = policy.name();
        if told.contains(&name) {
            continue;
        }
        told.push(name);
        let same = all.iter().filter(|other| other.name() == name);
        let same: Vec<Arc<Policy>> = same.cloned().collect();
        let sum = move |of: fn(&Policy) -> u64| {
            let same = same.clone();
            move || float(same.iter().map(|policy| of(policy)).sum())
        };
        let requests = sum(|policy| policy.tally().requests());
        registry.read(&metric::RATE_LIMITER_REQUESTS, &[name], requests);
        let active = sum(|policy| policy.active() as u64);
        registry.read(&metric::RATE_LIMITER_BUCKETS, &[name], active);
        for (mode, of) in MODES {
            let denials = sum(of);
            registry.read(&metric::RATE_LIMITER_DENIALS, &[name, mode], denials);
        }
    }
}

type Mode = (&'static str, fn(&Policy) -> u64);

const MODES: [Mode; 4] = [
    ("reject", |policy| policy.tally().rejected()),
    ("observe", |policy| policy.tally().observed()),
    ("delay", |policy| policy.tally().delayed()),
    ("candidate", |policy| policy.tally().candidate()),
];

fn is_alone(store: Option<&Chosen>) -> bool {
    match store {
        Some(Chosen::Redis(store)) => store.is_alone(),
        Some(Chosen::Memory(_)) | None => false,
    }
}

/// A request of `caller`, so that its key is that of his real ones.
fn pretend(caller: &str, keyed: &Keyed) -> (Exchange, HeaderMap) {
    let mut exchange = Exchange::new(Instant::now(), None, false);
    let mut headers = HeaderMap::new();
    if let Ok(address) = caller.trim_end_matches("/64").parse::<IpAddr>() {
        exchange.client = Some(address);
        return (exchange, headers);
    }
    let kinds = [Kind::ApiKey, Kind::Token, Kind::Header];
    let named = caller.split_once(':').and_then(|(word, id)| {
        let kind = kinds.into_iter().find(|kind| kind.word() == word)?;
        Some((kind, id))
    });
    let (kind, id) = named.unwrap_or((Kind::Header, caller));
    exchange.principal = Some(Arc::new(Principal {
        kind,
        id: id.into(),
        tier: None,
    }));
    exchange.peer_trusted = true;
    for part in &keyed.parts {
        if let (Part::Header(name), Ok(value)) = (part, HeaderValue::from_str(id)) {
            headers.insert(name, value);
        }
    }
    (exchange, headers)
}
