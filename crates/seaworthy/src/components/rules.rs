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
use crate::secrets::Keeper;

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
        secrets: &Keeper,
        registry: &Arc<Registry>,
    ) -> Self {
        let headers = routes.iter().map(|route| {
            let own = route.map(|route| &route.headers);
            config::headers::set(&config.headers, own, &|template| secrets.live(template))
        });
        let circuits = armour.breakers.circuits(config, routes);
        let rules = armour.rules();
        Self {
            fallbacks: rules.fallbacks.cover(),
            retries: retries(config, routes, timeouts, rules.repeats.as_ref()),
            attempts: attempts(config, routes, timeouts),
            circuits,
            headers: headers.collect(),
            bans: armour.ban_guard(routes, access.exempts(config)),
            limits: rules.limits.clone(),
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
    repeats: Option<&Repeats>,
) -> Arc<[Option<Arc<Plan>>]> {
    let Some(repeats) = repeats else {
        return Arc::default();
    };
    let plans = routes.iter().zip(timeouts).map(|(route, limits)| {
        let own = route.and_then(|route| route.retry.as_ref());
        let retry = own.or(config.retry.as_ref())?;
        repeats.plan(retry, armour::deadline(limits))
    });
    plans.collect()
}

fn attempts(
    config: &Config,
    routes: &[Option<&Route>],
    timeouts: &[timeout::Limits],
) -> Arc<[Option<Duration>]> {
    // Whoever has to learn of an app that hangs.
    let is_told = !config.breakers.is_empty() || !config.fallbacks.is_empty();
    let limits = routes.iter().zip(timeouts).map(|(route, limits)| {
        let own = route.and_then(|route| route.attempt_timeout);
        let chosen = own.unwrap_or(config.limits.attempt_timeout).get();
        let learns = || armour::attempt(limits).filter(|_| is_told);
        chosen.map(|limit| limit.get()).or_else(learns)
    });
    limits.collect()
}
