//! The section `redis`: the Redis that rate limits share, and that checks go to which name none.

use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::{Findings, Secret};
use seaworthy_core::dsn::Dsn;
use seaworthy_core::quantity::Duration;
use seaworthy_health::probe::Variables;
use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Check;

const SCHEMES: [&str; 4] = ["redis", "rediss", "valkey", "valkeys"];
/// Where Redis listens unless something else is said.
pub const PORT: u16 = 6379;

/// The Redis that rate limits share, and that checks of the kind `redis` go to which name no `url` and no `env`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// Where it is: `redis://user:password@host:6379/0`, or `rediss://…` for TLS. Default: what `env` says.
    #[schemars(extend("x-placeholder" = "redis://unresolved:6379/0"))]
    pub url: Option<Dsn>,
    /// The variable that holds the URL where `url` does not; `app.env` counts. Default `REDIS_URL`.
    pub env: String,
    /// The password, where the URL has none. Default: none.
    pub password: Option<Secret>,
    /// How TLS is checked, for `rediss://`.
    pub tls: Tls,
    /// The most connections; threads share them when they are fewer. Default 8.
    #[schemars(range(min = 1, max = 1024))]
    pub pool_size: u16,
    /// How long a request waits for it. Beyond that the request is counted by this instance alone. Default `20ms`.
    pub timeout: Duration,
}

/// How TLS is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A file with the certificates (PEM) that are trusted. Default: those of the system.
    pub ca: Option<PathBuf>,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            env: "REDIS_URL".to_owned(),
            password: None,
            tls: Tls::default(),
            pool_size: 8,
            timeout: Duration::from_millis(20),
        }
    }
}

impl Redis {
    /// The URL, if anything says where it is. A variable that holds none, or one that nobody may connect to, says nothing.
    pub fn place(&self, variables: &Variables) -> Option<Dsn> {
        self.url
            .clone()
            .or_else(|| variables.get(&self.env)?.parse().ok())
            .filter(|url| self.url.is_some() || url.forbidden(&[]).is_none())
    }

    /// The same with the password in it.
    fn whole(&self, variables: &Variables) -> Option<Dsn> {
        let place = self.place(variables)?;
        let Some(password) = self
            .password
            .as_ref()
            .filter(|_| place.password().is_none())
        else {
            return Some(place);
        };
        let mut url = place.expose().clone();
        url.set_password(Some(password.expose())).ok()?;
        url.as_str().parse().ok()
    }
}

/// Sends checks of a Redis that say nowhere to the one of this section.
pub(super) fn lend(config: &mut Config) {
    let Some(url) = config.redis.whole(&config.variables) else {
        return;
    };
    for check in &mut config.health.checks {
        if let Check::Redis(of) = check
            && of.common.env.is_none()
            && of.probe.url.is_nowhere()
        {
            of.probe.url = url.clone();
            of.probe.ca = of.probe.ca.take().or_else(|| config.redis.tls.ca.clone());
        }
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let redis = &config.redis;
    if let Some(url) = redis
        .url
        .as_ref()
        .filter(|url| !SCHEMES.contains(&url.scheme()))
    {
        findings
            .error("redis.url", format!("`{}` is no Redis", url.scheme()))
            .help("write `redis://host:6379/0`, or `rediss://` for TLS");
    }
    if let Some(url) = &redis.url {
        if let Some(why) = url.forbidden(&[]) {
            findings.error("redis.url", why);
        }
        let database = url.name();
        if !database.is_empty() && database.parse::<u16>().is_err() {
            findings
                .error("redis.url", "the databases of Redis are numbers")
                .help("write `redis://host:6379/0`");
        }
    }
    if redis.timeout.is_zero() {
        findings
            .error("redis.timeout", "no time at all is not enough")
            .help("write a time such as `20ms`");
    }
    if redis.password.is_some() && redis.place(&config.variables).is_none() {
        findings
            .warning("redis.password", "nothing says where the Redis is")
            .help("write `redis.url`, or set the variable that `redis.env` names");
    }
}
