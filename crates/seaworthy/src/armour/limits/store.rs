//! Where the buckets live, as the sections `limits` and `redis` have it.

use std::sync::Arc;

use seaworthy_core::clock::Clock;
use seaworthy_core::names::event;
use seaworthy_health::{Fallback, Features};
use seaworthy_http::limit::redis::{self, OnChange, Redis, Target};
use seaworthy_http::limit::{Chosen, Memory};

use crate::config::Config;
use crate::config::rates::StoreKind;
use crate::config::redis::PORT;

/// What the feature is called that runs on a fallback while Redis is away.
const FEATURE: &str = "rate_limits";

/// The store that is asked for. Without a place, or without anything to check its certificate against, that is memory.
pub(super) fn open(config: &Config, clock: Clock) -> Chosen {
    let limits = &config.limits;
    let place = config.redis.place(&config.variables);
    let (StoreKind::Redis, Some(url)) = (limits.store, place) else {
        return Chosen::Memory(Memory);
    };
    let secure = matches!(url.scheme(), "rediss" | "valkeys");
    let tls = secure.then(|| seaworthy_health::probe::client_config(config.redis.tls.ca.clone()));
    let tls = match tls.transpose() {
        Ok(tls) => tls.map(Arc::new),
        Err(why) => {
            tracing::warn!(
                event = event::CONFIG_WARNING,
                setting = "redis.tls",
                "rate limits are counted by this instance alone: {why}"
            );
            return Chosen::Memory(Memory);
        }
    };
    let password = config.redis.password.as_ref();
    let target = Target {
        host: url.host(),
        port: url.port_or(PORT),
        tls,
        user: url.user(),
        password: url
            .password()
            .or_else(|| password.map(|password| password.expose().to_owned())),
        database: url.name().parse().unwrap_or(0),
    };
    Chosen::Redis(Redis::new(redis::Config {
        target,
        connections: usize::from(config.redis.pool_size),
        budget: config.redis.timeout.get(),
        prefix: limits.key_prefix.clone(),
        pepper: limits
            .key_pepper
            .as_ref()
            .map(|pepper| pepper.expose().as_bytes().into()),
        lease: limits.lease.then_some(limits.replicas),
        clock,
        on_change: OnChange(Some(Arc::new(feature))),
    }))
}

/// Shows the fallback among the features of the service as well.
fn feature(alone: bool) {
    let features = Features::global();
    if alone {
        let set: Result<Fallback, _> =
            features.fall_back(FEATURE, Some("memory"), "Redis cannot be asked", None);
        // A table of features that is full shows one fewer; the metric and the event are told all the same.
        set.ok();
    } else {
        features.recover(FEATURE);
    }
}
