//! The rules between a client and the app, built: one field for each layer of the stack.

use std::sync::Arc;

use seaworthy_core::clock::Clock;
use seaworthy_http::{abuse, ban, concurrency, headers};
use seaworthy_telemetry::metrics::Registry;

use crate::armour::{Armour, Limiting};
use crate::config::{self, Config, Route};

/// See the [module documentation](self). What is indexed by route begins with requests that have none.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Fields of answers by route.
    pub headers: Arc<[headers::Set]>,
    /// Who is shut out.
    pub bans: Arc<ban::Guard>,
    /// How often somebody may ask.
    pub limits: Limiting,
    /// Who is watched, if anybody is.
    pub abuse: Option<Arc<abuse::Guard>>,
    /// Places for requests.
    pub concurrency: Vec<concurrency::Rule>,
    /// What is refused while memory is short.
    pub pressure: Arc<concurrency::Pressure>,
    /// What all moments are of.
    pub clock: Clock,
}

impl Rules {
    /// Builds what `config` asks for, over what `armour` remembers.
    pub(super) fn build(
        config: &Config,
        routes: &[Option<&Route>],
        armour: &Armour,
        registry: &Arc<Registry>,
    ) -> Self {
        let headers = routes.iter().map(|route| {
            let own = route.map(|route| &route.headers);
            config::headers::set(&config.headers, own)
        });
        Self {
            headers: headers.collect(),
            bans: armour.ban_guard(routes),
            limits: armour.limits.clone(),
            abuse: armour.abuse_guard(config, registry),
            concurrency: armour.pools.rules(config, routes, registry),
            pressure: armour.pools.pressure(),
            clock: armour.clock,
        }
    }
}
