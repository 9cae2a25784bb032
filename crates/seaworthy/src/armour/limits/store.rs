//! Where the buckets live, as the sections `limits` and `redis` have it.

use std::sync::Arc;

use seaworthy_core::clock::Clock;
use seaworthy_health::{Fallback, Features};
use seaworthy_http::limit::redis::{self, OnChange, Redis};
use seaworthy_http::limit::{Chosen, Memory};

use crate::armour::redis as shared;
use crate::config::Config;
use crate::config::rates::StoreKind;

/// What the feature is called that runs on a fallback while Redis is away.
const FEATURE: &str = "rate_limits";

/// The store that is asked for. Without a place, or without anything to check its certificate against, that is memory.
pub(super) fn open(config: &Config, clock: Clock) -> Chosen {
    let limits = &config.limits;
    if limits.store != StoreKind::Redis {
        return Chosen::Memory(Memory);
    }
    let alone = "rate limits are counted by this instance alone";
    let Some(target) = shared::target(config, alone) else {
        return Chosen::Memory(Memory);
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
