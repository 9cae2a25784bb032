//! The rules between a client and the app, built: one field for each layer of the stack.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::clock::Clock;
use seaworthy_http::breaker::Circuits;
use seaworthy_http::fallback::Fallbacks;
use seaworthy_http::retry::Plan;
use seaworthy_http::{abuse, ban, concurrency, headers, timeout};
use seaworthy_telemetry::metrics::Registry;

use crate::armour::{self, Access, Armour, Limiting, Repeats};
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
    /// What is served when the app fails.
    pub fallbacks: Fallbacks,
    /// How requests are sent again, by route.
    pub retries: Arc<[Option<Arc<Plan>>]>,
    /// Who is left alone for a while.
    pub circuits: Circuits,
    /// How long one try may take, by route.
    pub attempts: Arc<[Option<Duration>]>,
    /// Places for requests.
    pub concurrency: Vec<concurrency::Rule>,
    /// What is refused while memory is short.
    pub pressure: Arc<concurrency::Pressure>,
    /// What all moments are of.
    pub clock: Clock,
    /// Where errors of the app are noted.
    pub errors: Arc<armour::Service>,
}

impl Rules {
    /// Builds what `config` asks for, over what `armour` remembers.
    pub(super) fn build(
        config: &Config,
        routes: &[Option<&Route>],
        timeouts: &[timeout::Limits],
        armour: &Armour,
        access: &Access,
        registry: &Arc<Registry>,
    ) -> Self {
        let headers = routes.iter().map(|route| {
            let own = route.map(|route| &route.headers);
            config::headers::set(&config.headers, own)
        });
        let circuits = armour.breakers.circuits(config, routes);
        Self {
            fallbacks: armour.fallbacks.clone(),
            retries: retries(config, routes, timeouts, registry),
            attempts: attempts(config, routes, timeouts),
            circuits,
            headers: headers.collect(),
            bans: armour.ban_guard(routes, access.exempts(config)),
            limits: armour.limits.clone(),
            abuse: armour.abuse_guard(config, registry),
            concurrency: armour.pools.rules(config, routes, registry),
            pressure: armour.pools.pressure(),
            clock: armour.clock,
            errors: armour.errors.service(armour::Kind::App, "app"),
        }
    }
}

fn retries(
    config: &Config,
    routes: &[Option<&Route>],
    timeouts: &[timeout::Limits],
    registry: &Registry,
) -> Arc<[Option<Arc<Plan>>]> {
    let usual = config.retry.as_ref();
    let own = |route: &Option<&Route>| route.and_then(|route| route.retry.clone());
    let first = usual.cloned().or_else(|| routes.iter().find_map(own));
    let Some(first) = first else {
        return Arc::default();
    };
    let repeats = Repeats::new("app", &first, registry);
    let plans = routes.iter().zip(timeouts).map(|(route, limits)| {
        let retry = route.and_then(|route| route.retry.as_ref()).or(usual)?;
        repeats.plan(retry, armour::deadline(limits))
    });
    plans.collect()
}

fn attempts(
    config: &Config,
    routes: &[Option<&Route>],
    timeouts: &[timeout::Limits],
) -> Arc<[Option<Duration>]> {
    let limits = routes.iter().zip(timeouts).map(|(route, limits)| {
        let own = route.and_then(|route| route.attempt_timeout);
        let chosen = own.unwrap_or(config.limits.attempt_timeout).get();
        let learns = || armour::attempt(limits).filter(|_| !config.breakers.is_empty());
        chosen.map(|limit| limit.get()).or_else(learns)
    });
    limits.collect()
}
