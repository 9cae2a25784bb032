//! The part of the section `limits` that says how often somebody may ask.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use seaworthy_config::Findings;
use seaworthy_core::quantity::Duration;
use seaworthy_core::quota::{PerSecond, Spec};
use seaworthy_http::limit::{self, Part};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Config;

/// A limit for each user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Users {
    /// What names a user: `principal`, or `header:X-User-ID`, which counts only when `listen.trusted_proxies` has the peer. A request
    /// that names none is not limited by this. Default `principal`.
    pub key: Key,
    /// How many requests a full bucket holds. Default 100.
    pub capacity: u64,
    /// How many come back in a second. Default 1.667.
    pub refill_per_sec: PerSecond,
    /// Users that are counted apart at a time. Default 100000.
    #[schemars(range(min = 16, max = 10_000_000))]
    pub max_keys: usize,
    /// How long a bucket that is full again still counts as active. Default `10m`.
    pub idle_ttl: Duration,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            key: Key(Part::Principal),
            capacity: 100,
            refill_per_sec: PerSecond(1_667_000),
            max_keys: 100_000,
            idle_ttl: Duration::from_secs(600),
        }
    }
}

/// A limit by any key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What it is called: lower-case letters, digits, `_` and `-`.
    pub name: String,
    /// How many requests.
    pub limit: Spec,
    /// Patterns of `routes` for which it holds. Default: it holds for all requests.
    #[serde(default, rename = "match")]
    pub routes: Vec<String>,
    /// What buckets are kept by, all of it together: `identity`, `principal`, `address`, `header:NAME`. An empty list is one bucket
    /// for everybody. Default `[identity]`.
    #[serde(default = "by_identity")]
    pub key: Vec<Key>,
    /// What happens beyond it. Default: `limits.action`.
    #[serde(default)]
    pub action: Option<Action>,
    /// What holds while the store cannot be asked. Default: `limits.on_store_error`.
    #[serde(default)]
    pub on_store_error: Option<OnStoreError>,
    /// Keys that are counted apart at a time. Default: `limits.max_keys`.
    #[serde(default)]
    #[schemars(range(min = 16, max = 10_000_000))]
    pub max_keys: Option<usize>,
}

fn by_identity() -> Vec<Key> {
    vec![Key(Part::Identity)]
}

/// What happens to a request beyond a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is refused with 429.
    #[default]
    Reject,
    /// It passes and is counted.
    Observe,
    /// It waits for its turn, at most `limits.max_delay`.
    Delay,
}

/// How buckets fill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refill {
    /// Token by token.
    #[default]
    Continuous,
    /// All at once, when the time of the rate has passed since the first was taken.
    Interval,
}

/// Where buckets live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// In this process: each instance gives the whole limit.
    #[default]
    Memory,
    /// In the Redis of the section `redis`: all instances share the limit.
    Redis,
}

/// What holds while the store cannot be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreError {
    /// This instance gives its share, `1/replicas` of the limit.
    #[default]
    Local,
    /// Nobody passes.
    Deny,
    /// Everybody passes.
    Allow,
}

impl From<OnStoreError> for limit::OnStoreError {
    fn from(choice: OnStoreError) -> Self {
        match choice {
            OnStoreError::Local => Self::Local,
            OnStoreError::Deny => Self::Deny,
            OnStoreError::Allow => Self::Allow,
        }
    }
}

/// Which fields answers get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// Both kinds.
    #[default]
    Both,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    X,
    /// `RateLimit` and `RateLimit-Policy`.
    Ietf,
    /// None.
    None,
}

/// What `X-RateLimit-Reset` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// Seconds since 1970.
    #[default]
    Epoch,
    /// Seconds from now.
    Delta,
}

/// What vouches for a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A known API key.
    ApiKey,
    /// A valid JSON Web Token.
    Jwt,
    /// A field that a trusted proxy has set.
    Header,
}

impl From<Kind> for seaworthy_core::principal::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::ApiKey => Self::ApiKey,
            Kind::Jwt => Self::Token,
            Kind::Header => Self::Header,
        }
    }
}

/// One part of what buckets are kept by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(pub Part);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Part::Identity => f.write_str("identity"),
            Part::Principal => f.write_str("principal"),
            Part::Address => f.write_str("address"),
            Part::Header(name) => write!(f, "header:{name}"),
        }
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = match text {
            "identity" => Part::Identity,
            "principal" => Part::Principal,
            "address" => Part::Address,
            _ => {
                let name = text.strip_prefix("header:").map(HeaderName::from_str);
                let Some(Ok(name)) = name else {
                    return Err(format!(
                        "`{text}` is no key: write `identity`, `principal`, `address` or `header:NAME`"
                    ));
                };
                Part::Header(name)
            }
        };
        Ok(Self(part))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "RateLimitKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "`identity`, `principal`, `address` or `header:NAME`",
            "description": "What somebody is known by: `identity`, `principal`, `address` or `header:NAME`.",
            "pattern": r"^(identity|principal|address|header:.+)$",
        })
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let limits = &config.limits;
    let at_once = limits.refill == Refill::Interval;
    for (name, spec) in &limits.tiers {
        judge_name(&format!("limits.tiers.{name}"), name, findings);
        judge(&format!("limits.tiers.{name}"), spec, at_once, findings);
    }
    if !limits.tiers.is_empty() && !limits.tiers.contains_key(limit::ANONYMOUS) {
        findings
            .error(
                "limits.tiers",
                "nothing says what clients without a tier may do",
            )
            .help("add `anonymous`, such as `anonymous: 100/min`, or `unlimited`");
    }
    if let Some(users) = &limits.users {
        judge("limits.users.capacity", &users.spec(), at_once, findings);
    }
    judge_policies(config, at_once, findings);
    for (index, route) in config.routes.iter().enumerate() {
        if let Some(spec) = &route.limit {
            judge(&format!("routes[{index}].limit"), spec, at_once, findings);
        }
        let settled = route.cost_header.as_ref();
        if settled.is_some_and(|name| HeaderName::from_str(name).is_err()) {
            findings.error(
                format!("routes[{index}].cost_header"),
                "that is no name of a field",
            );
        }
    }
    judge_candidates(&limits.candidate, config, at_once, findings);
    if limits.store == StoreKind::Redis && config.redis.place(&config.variables).is_none() {
        findings
            .warning(
                "limits.store",
                format!("nothing says where the Redis is ({} is not set): limits are counted by each instance alone", config.redis.env),
            )
            .related("redis")
            .help("write `redis.url`, or set the variable");
    }
    if limits.lease && limits.store == StoreKind::Memory {
        findings
            .warning("limits.lease", "there is nothing to lease from")
            .related("limits.store")
            .help("write `store: redis`, or leave it out");
    }
}

impl Users {
    /// The quota as it is written.
    pub fn spec(&self) -> Spec {
        Spec::Bucket {
            capacity: self.capacity,
            refill_micros: self.refill_per_sec.0,
        }
    }
}

fn judge_policies(config: &Config, at_once: bool, findings: &mut Findings) {
    for (index, policy) in config.limits.policies.iter().enumerate() {
        let path = |key: &str| format!("limits.policies[{index}].{key}");
        judge_name(&path("name"), &policy.name, findings);
        let before = &config.limits.policies[..index];
        let taken = before.iter().any(|other| other.name == policy.name)
            || config.limits.tiers.contains_key(&policy.name)
            || [limit::USER, limit::ROUTE].contains(&&*policy.name);
        if taken {
            findings
                .error(
                    path("name"),
                    format!("`{}` is the name of another limit", policy.name),
                )
                .help("choose another one");
        }
        judge(&path("limit"), &policy.limit, at_once, findings);
        for pattern in &policy.routes {
            if config.routes.iter().all(|route| route.pattern != *pattern) {
                findings
                    .error(path("match"), format!("no route is called `{pattern}`"))
                    .help("list the pattern under `routes` as well, just as it is written here");
            }
        }
    }
}

fn judge_candidates(
    candidates: &BTreeMap<String, Spec>,
    config: &Config,
    at_once: bool,
    findings: &mut Findings,
) {
    for (name, spec) in candidates {
        let path = format!("limits.candidate.{name}");
        judge(&path, spec, at_once, findings);
        let known = config.limits.tiers.contains_key(name)
            || config
                .limits
                .policies
                .iter()
                .any(|policy| policy.name == *name)
            || (name == limit::USER && config.limits.users.is_some());
        if !known {
            findings
                .error(path, "there is no limit of that name to try it beside")
                .help("name a tier, a policy, or `user`");
        }
    }
}

fn judge(path: &str, spec: &Spec, at_once: bool, findings: &mut Findings) {
    if let Err(error) = spec.quota(at_once) {
        findings.error(path.to_owned(), error.to_string());
    }
}

fn judge_name(path: &str, name: &str, findings: &mut Findings) {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
        });
    if !fits {
        findings
            .error(
                path.to_owned(),
                format!("`{name}` cannot be the name of a limit"),
            )
            .help("use lower-case letters, digits, `_` and `-`");
    }
}
