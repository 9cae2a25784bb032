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
mod webhook;

use std::sync::Arc;

use seaworthy_core::abuse::{Event, Watch};
use seaworthy_core::ban::{self, Table};
use seaworthy_core::clock::Clock;
use seaworthy_core::names::metric;
use seaworthy_core::route::RouteTable;
use seaworthy_http::fallback::Fallbacks;
use seaworthy_http::reveal::Reveal;
use seaworthy_http::{abuse as watching, ban as shutting};
use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::metrics::Registry;

use crate::config::{Bans, Config, Route};

pub use abuse::{FlagDocument, FlagsDocument};
pub use access::{Access, Described};
pub use bans::{BanDocument, BansDocument};
pub use breakers::{BreakerDocument, Breakers};
pub use errors::{Errors, ErrorsDocument, Kind, Noted, Service, ServiceDocument};
pub use features::keep_features;
pub use keep::{keep, tend};
pub use limits::{
    CandidateDocument, LimitDocument, Limiting, LimitsDocument, ResetDocument, count_limits,
};
pub use pools::{PoolDocument, Pools, PoolsDocument, watch_memory};
pub use retries::{Repeats, attempt, deadline};
pub use security::SecurityDocument;
pub use time::clock;

/// Addresses that can be blocked by hand where no rule blocks anybody.
const BY_HAND: usize = 10_000;

/// See the [module documentation](self).
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
    /// How often somebody may ask.
    pub limits: Limiting,
    /// How much of them is shown.
    pub reveal: Reveal,
    /// The length of a block by hand, and when strangers are blocked.
    pub rules: Option<ban::Rules>,
    watched: Option<seaworthy_core::abuse::Rules>,
    /// What went wrong, by service.
    pub errors: Errors,
    /// Who is left alone for a while.
    pub breakers: Breakers,
    /// What is served instead, as the configuration has it.
    pub fallbacks: Fallbacks,
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
            limits: Limiting::new(config, clock, registry),
            reveal: config.security.shown(),
            rules: config.bans.as_ref().map(Bans::rules),
            watched: config.abuse.as_ref().map(crate::config::Abuse::rules),
            breakers: Breakers::new(clock, registry.clone(), journal.clone(), errors.clone()),
            errors,
            fallbacks: fallbacks::build(config, registry, journal),
        };
        armour.count(registry);
        armour
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
        self.bans.sweep(self.rules.as_ref(), now);
        self.limits.sweep(now);
        if let Some(rules) = &self.watched {
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
            rules: self.rules,
            counted: counted.collect(),
            exempts,
            clock: self.clock,
            reveal: self.reveal,
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
            reveal: self.reveal,
            counted: Box::new(counted),
        }))
    }
}
