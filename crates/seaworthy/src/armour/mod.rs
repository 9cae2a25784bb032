//! What the rules in front of the app remember: it outlives a configuration, and is shared by all workers.

mod abuse;
mod access;
mod bans;
mod breakers;
mod errors;
mod fallbacks;
mod features;
mod keep;
mod limits;
mod pools;
mod redis;
mod retries;
mod security;
mod share;
mod time;
mod underway;
mod webhook;

use std::sync::Arc;

use arc_swap::ArcSwap;
use seaworthy_core::abuse::{Event, Watch};
use seaworthy_core::ban::{self, Table};
use seaworthy_core::clock::Clock;
use seaworthy_core::names::metric;
use seaworthy_core::route::RouteTable;
use seaworthy_http::reveal::Reveal;
use seaworthy_http::{abuse as watching, ban as shutting};
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::metrics::Registry;

use crate::config::{Bans, Config, Route};

pub use abuse::{FlagDocument, FlagsDocument};
pub use access::{Access, Described, Fetched};
pub use bans::{BanDocument, BansDocument};
pub use breakers::{BreakerDocument, Breakers};
pub use errors::{Errors, ErrorsDocument, Kind, Noted, Service, ServiceDocument};
pub use fallbacks::Standins;
pub use features::keep_features;
pub use keep::{keep, tend};
pub use limits::{
    Calls, CandidateDocument, LimitDocument, Limiting, LimitsDocument, ResetDocument, count_limits,
};
pub use pools::{PoolDocument, Pools, PoolsDocument, watch_memory};
pub use retries::{Repeats, attempt, deadline};
pub use security::SecurityDocument;
pub use time::clock;
pub use underway::Underway;

/// Addresses that can be blocked by hand where no rule blocks anybody.
const BY_HAND: usize = 10_000;

/// See the [module documentation](self). Clones are the same one.
#[derive(Clone, Debug)]
pub struct Armour {
    /// What all moments are of.
    pub clock: Clock,
    /// Who is shut out.
    pub bans: Arc<Table>,
    /// Who drew attention.
    pub abuse: Arc<Watch>,
    /// Places for requests.
    pub pools: Pools,
    /// What went wrong, by service.
    pub errors: Errors,
    /// Who is left alone for a while.
    pub breakers: Breakers,
    /// How often the app may call others.
    pub calls: Calls,
    /// Documents that are on their way to whoever is told of features.
    pub underway: Underway,
    rules: Arc<ArcSwap<Rules>>,
}

/// What the configuration says about all this; it changes with it.
#[derive(Debug, Default)]
pub struct Rules {
    /// How often somebody may ask.
    pub limits: Limiting,
    /// How much is shown of those who are named.
    pub reveal: Reveal,
    /// The length of a block by hand, and when strangers are blocked.
    pub bans: Option<ban::Rules>,
    /// When somebody is flagged.
    pub abuse: Option<seaworthy_core::abuse::Rules>,
    /// What is served instead.
    pub fallbacks: Standins,
    /// How requests are sent again.
    pub repeats: Option<Repeats>,
}

impl Armour {
    /// Remembers nothing yet.
    pub fn new(config: &Config, clock: Clock, registry: &Arc<Registry>, journal: &Journal) -> Self {
        let most = config
            .bans
            .as_ref()
            .map_or(BY_HAND, |bans| bans.max_addresses);
        let bans = Arc::new(Table::new(most));
        let callers = config
            .abuse
            .as_ref()
            .map_or(BY_HAND, |abuse| abuse.max_callers);
        let errors = Errors::new(clock);
        let armour = Self {
            clock,
            bans,
            abuse: Arc::new(Watch::new(callers)),
            pools: Pools::default(),
            breakers: Breakers::new(clock, registry.clone(), journal.clone(), errors.clone()),
            errors,
            calls: Calls::default(),
            underway: Underway::default(),
            rules: Arc::default(),
        };
        armour.renew(config, registry, journal);
        armour.count(registry);
        armour
    }

    /// Goes by `config` from now on. What was remembered under a name that is still there goes on under it.
    pub fn renew(&self, config: &Config, registry: &Arc<Registry>, journal: &Journal) {
        let old = self.rules();
        self.rules.store(Arc::new(Rules {
            limits: old.limits.succeeded_by(config, self.clock, registry),
            reveal: config.security.shown(),
            bans: config.bans.as_ref().map(Bans::rules),
            abuse: config.abuse.as_ref().map(crate::config::Abuse::rules),
            fallbacks: old.fallbacks.succeeded_by(config, registry, journal),
            repeats: Repeats::of_app(config, old.repeats.as_ref(), registry),
        }));
        self.breakers.retain(config);
    }

    /// What the configuration says.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    fn count(&self, registry: &Registry) {
        // Counters are exact in a float up to 2^53.
        #[allow(clippy::cast_precision_loss)]
        let float = |count: u64| count as f64;
        let this = self.clone();
        registry.read(&metric::BANS_ACTIVE, &[], move || {
            float(this.bans.bans(this.now()).len() as u64)
        });
        let bans = self.bans.clone();
        registry.read(&metric::BANS_REFUSED, &[], move || float(bans.refused()));
        let bans = self.bans.clone();
        registry.read(&metric::BANS_UNCOUNTED, &[], move || {
            float(bans.uncounted())
        });
        let this = self.clone();
        registry.read(&metric::ABUSE_FLAGS, &[], move || {
            float(this.abuse.flags(this.now()).len() as u64)
        });
    }

    /// Now.
    pub fn now(&self) -> seaworthy_core::clock::Moment {
        self.clock.at(std::time::Instant::now())
    }

    /// Forgets all for whom that changes nothing.
    pub fn sweep(&self) {
        let now = self.now();
        let rules = self.rules();
        self.bans.sweep(rules.bans.as_ref(), now);
        rules.limits.sweep(now);
        if let Some(rules) = &rules.abuse {
            self.abuse.sweep(rules, now);
        }
    }

    /// The guard against addresses that ask too often. There always is one: somebody may be blocked by hand at any time.
    pub fn ban_guard(
        &self,
        routes: &[Option<&Route>],
        exempts: Option<shutting::Exempts>,
    ) -> Arc<shutting::Guard> {
        let counted = routes
            .iter()
            .map(|route| route.and_then(|route| route.bans).unwrap_or(true));
        Arc::new(shutting::Guard {
            table: self.bans.clone(),
            rules: self.rules().bans,
            counted: counted.collect(),
            exempts,
            clock: self.clock,
            reveal: self.rules().reveal,
        })
    }

    /// The guard that watches who causes what, where a section asks for it.
    pub fn abuse_guard(
        &self,
        config: &Config,
        registry: &Registry,
    ) -> Option<Arc<watching::Guard>> {
        let abuse = config.abuse.as_ref()?;
        let counters = Event::ALL.map(|event| {
            let counter = registry.counter(&metric::ABUSE_EVENTS, &[event.word()]);
            (event, counter)
        });
        let counted = move |event| {
            let counter = counters.iter().find(|(other, _)| *other == event);
            counter.inspect(|(_, counter)| counter.inc());
        };
        Some(Arc::new(watching::Guard {
            watch: self.abuse.clone(),
            rules: abuse.rules(),
            block: abuse.block,
            // Checked when the configuration was.
            scanners: RouteTable::try_new(&abuse.scanner_paths).unwrap_or_default(),
            clock: self.clock,
            reveal: self.rules().reveal,
            counted: Box::new(counted),
        }))
    }
}
