//! The Redis of the section `redis`, for those who share something over it.

use std::sync::Arc;

use seaworthy_core::names::event;
use seaworthy_http::limit::redis::Target;

use crate::config::Config;
use crate::config::redis::PORT;

/// Where it is. Without a place, or without anything to check its certificate against, there is none, and `alone` says what
/// follows from that.
pub(super) fn target(config: &Config, alone: &str) -> Option<Target> {
    let url = config.redis.place(&config.variables)?;
    let secure = matches!(url.scheme(), "rediss" | "valkeys");
    let tls = secure.then(|| seaworthy_health::probe::client_config(config.redis.tls.ca.clone()));
    let tls = match tls.transpose() {
        Ok(tls) => tls.map(Arc::new),
        Err(why) => {
            tracing::warn!(
                event = event::CONFIG_WARNING,
                setting = "redis.tls",
                "{alone}: {why}"
            );
            return None;
        }
    };
    let password = config.redis.password.as_ref();
    Some(Target {
        host: url.host(),
        port: url.port_or(PORT),
        tls,
        user: url.user(),
        password: url
            .password()
            .or_else(|| password.map(|password| password.expose().to_owned())),
        database: url.name().parse().unwrap_or(0),
    })
}
