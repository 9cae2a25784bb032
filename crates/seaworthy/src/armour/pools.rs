//! The places for requests, by name, and the memory that they depend on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use seaworthy_core::names::{Metric, event, metric};
use seaworthy_health::probe::memory;
use seaworthy_http::concurrency::{Pool, Pressure, Rule};
use seaworthy_telemetry::metrics::Registry;
use serde::Serialize;
use smallvec::SmallVec;

use crate::config::concurrency::{Concurrency, Memory};
use crate::config::{Config, Route};

/// The pool of the whole service.
const ALL: &str = "all";
/// What is shown of each pool.
const SHOWN: [&Metric; 4] = [
    &metric::CONCURRENCY_LIMIT,
    &metric::CONCURRENCY_INSIDE,
    &metric::CONCURRENCY_WAITING,
    &metric::CONCURRENCY_REFUSED,
];
/// How often memory is looked at: a burst must not fill what is left between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Places by name; they are made once, so that whoever is inside still counts under a new configuration.
#[derive(Clone, Debug, Default)]
pub struct Pools {
    pools: Arc<Mutex<BTreeMap<String, Arc<Pool>>>>,
    pressure: Arc<Pressure>,
}

/// Places for requests.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PoolDocument {
    /// `all`, or the route.
    pub name: String,
    /// Places there are.
    pub limit: u32,
    /// Requests inside.
    pub inside: u32,
    /// Requests that wait.
    pub waiting: u32,
    /// Requests that were refused.
    pub refused: u64,
}

/// How busy the app is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PoolsDocument {
    /// The places of the service and of routes.
    pub pools: Vec<PoolDocument>,
    /// The lowest priority that is served; `low` unless memory is short.
    pub serves: seaworthy_core::concurrency::Priority,
}

impl Pools {
    /// What holds for each route. Nothing at all where no section asks for it.
    pub fn rules(
        &self,
        config: &Config,
        routes: &[Option<&Route>],
        registry: &Arc<Registry>,
    ) -> Vec<Rule> {
        let asked = config.concurrency.is_some()
            || routes
                .iter()
                .flatten()
                .any(|route| route.concurrency.is_some());
        self.retain(config, routes, registry);
        if !asked {
            return Vec::new();
        }
        let all = config
            .concurrency
            .as_ref()
            .map(|wish| self.pool(ALL, registry, || whole(wish)));
        let rule = |route: &Option<&Route>| {
            let own = route.and_then(|route| {
                let wish = route.concurrency.as_ref()?;
                let name = &route.pattern;
                Some(self.pool(name, registry, || {
                    Pool::fixed(name, wish.max, wish.queue, wish.queue_timeout.get())
                }))
            });
            let pools: SmallVec<[Arc<Pool>; 2]> = own.into_iter().chain(all.clone()).collect();
            let priority = route.and_then(|route| route.priority).unwrap_or_default();
            Rule { pools, priority }
        };
        routes.iter().map(rule).collect()
    }

    /// Forgets those that nothing has any more. Whoever is inside of one leaves it as he came.
    fn retain(&self, config: &Config, routes: &[Option<&Route>], registry: &Registry) {
        let own = |name: &String| {
            let mut all = routes.iter().flatten();
            all.any(|route| route.concurrency.is_some() && route.pattern == *name)
        };
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|name, _| {
            let stays = name == ALL && config.concurrency.is_some() || own(name);
            if !stays {
                registry.forget(&SHOWN, name);
            }
            stays
        });
    }

    /// What is refused while memory is short.
    pub fn pressure(&self) -> Arc<Pressure> {
        self.pressure.clone()
    }

    fn pool(&self, name: &str, registry: &Arc<Registry>, make: impl FnOnce() -> Pool) -> Arc<Pool> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = match pools.get(name) {
            Some(before) => make().instead_of(before),
            None => make(),
        };
        let pool = Arc::new(pool);
        count(&pool, registry);
        pools.insert(name.to_owned(), pool.clone());
        pool
    }

    /// How busy the app is.
    pub fn document(&self) -> PoolsDocument {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let pools = pools.values().map(|pool| PoolDocument {
            name: pool.name().to_owned(),
            limit: pool.slots().limit(),
            inside: pool.slots().inside(),
            waiting: pool.slots().waiting(),
            refused: pool.refused(),
        });
        PoolsDocument {
            pools: pools.collect(),
            serves: self.pressure.least(),
        }
    }
}

fn whole(wish: &Concurrency) -> Pool {
    let patience = wish.queue_timeout.get();
    match wish.bounds() {
        Some(bounds) => Pool::adaptive(ALL, bounds, wish.queue, patience),
        None => Pool::fixed(ALL, wish.max, wish.queue, patience),
    }
}

fn count(pool: &Arc<Pool>, registry: &Registry) {
    let labels = [pool.name()];
    let read = |metric, read: fn(&Pool) -> f64| {
        let pool = pool.clone();
        registry.read(metric, &labels, move || read(&pool));
    };
    read(&metric::CONCURRENCY_LIMIT, |pool| {
        f64::from(pool.slots().limit())
    });
    read(&metric::CONCURRENCY_INSIDE, |pool| {
        f64::from(pool.slots().inside())
    });
    read(&metric::CONCURRENCY_WAITING, |pool| {
        f64::from(pool.slots().waiting())
    });
    // Counters are exact in a float up to 2^53.
    #[allow(clippy::cast_precision_loss)]
    read(&metric::CONCURRENCY_REFUSED, |pool| pool.refused() as f64);
}

/// Watches memory and refuses what matters less while it is short, until it is dropped.
pub async fn watch_memory(pressure: Arc<Pressure>, rule: Memory) {
    let mut before = pressure.least();
    loop {
        tokio::time::sleep(LOOK).await;
        let looked = tokio::task::spawn_blocking(|| memory::percent_in_use(Path::new("/")));
        let Ok(Some(percent)) = looked.await else {
            continue;
        };
        let least = rule.least(percent);
        if least == before {
            continue;
        }
        before = least;
        pressure.set(least);
        let word = serde_json::to_value(least).unwrap_or_default();
        let word = word.as_str().unwrap_or_default();
        tracing::warn!(
            event = event::MEMORY_PRESSURE,
            percent,
            serves = word,
            "{percent:.0} % of the memory is in use; requests are served from priority {word} upwards"
        );
    }
}
