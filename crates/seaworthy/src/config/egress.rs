//! The section `egress`: the app's own calls to other services, through breakers and retries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::{Findings, Template};
use seaworthy_core::quantity::{Bound, Duration};
use seaworthy_core::quota::Spec;
use seaworthy_http::egress::Target;
use serde::{Deserialize, Serialize};

use super::breakers::DEFAULT;
use super::listen::Bind;
use super::{Breaker, Config, Retry, headers, limits, retry};

/// A way out. The app calls `listen` as it would call `target`, and has breaker, retries and metrics for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// What it is called, in metrics, events and for `breakers`.
    pub name: String,
    /// Where the app calls it: an address of this machine, such as `127.0.0.1:9911`.
    pub listen: Bind,
    /// What is called: `http://` or `https://`, a host and perhaps a port.
    pub target: String,
    /// Which of the `breakers` it has, by name. `default` gives it one of its own with the figures of `default`, which are five
    /// failures in a row and 60s unless the file has others. Default: the one whose `egress` names it, if any.
    #[serde(default)]
    pub breaker: Option<String>,
    /// How its requests are sent again. Default: they are not.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// How often it may be called: `100/min`, or `{capacity, refill_per_sec}`. This instance counts alone, and tries of `retry` are
    /// not counted. Default: as often as the app likes.
    #[serde(default)]
    pub limit: Option<Spec>,
    /// How long a call beyond `limit` waits for its turn; after that, and without it, it is answered 429. Default `0s`.
    #[serde(default)]
    pub max_delay: Duration,
    /// How long an answer may take to its first byte, all tries together, or `none`. Default `60s`.
    #[serde(default = "minute")]
    pub timeout: Bound<Duration>,
    /// How long one try may take, or `none`. Default: a little less than `timeout`.
    #[serde(default)]
    pub attempt_timeout: Option<Bound<Duration>>,
    /// Fields that every call bears, whatever the app says, such as `Authorization: Bearer ${secret:openai}`: the app needs no key
    /// of its own then. An empty value takes a field away. Default: none.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The file of the certificates that are trusted instead of those of the system. Default: none.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

const fn minute() -> Bound<Duration> {
    Bound::At(Duration::from_secs(60))
}

impl Egress {
    /// The breaker that it has: its name and its figures.
    pub fn breaker(&self, config: &Config) -> Option<(String, Breaker)> {
        let known = |name: &str| config.breakers.get(name).cloned();
        match self.breaker.as_deref() {
            // One that all share would let the outage of one service break the calls to another.
            Some(DEFAULT) => Some((
                format!("egress.{}", self.name),
                Breaker {
                    routes: Vec::new(),
                    ..known(DEFAULT).unwrap_or_default()
                },
            )),
            Some(name) => Some((name.to_owned(), known(name)?)),
            None => {
                let mut all = config.breakers.iter();
                let (name, breaker) = all.find(|(_, one)| one.egress.contains(&self.name))?;
                Some((name.clone(), breaker.clone()))
            }
        }
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    for (index, one) in config.egress.iter().enumerate() {
        let path = |key: &str| format!("egress[{index}].{key}");
        if !super::text::is_name(&one.name) {
            findings
                .error(path("name"), "it is not a name")
                .help("write letters, digits, `_`, `-` and `.`");
        }
        let before = &config.egress[..index];
        if before.iter().any(|other| other.name == one.name) {
            findings.error(path("name"), format!("`{}` is listed twice", one.name));
        }
        if !one.listen.0.ip().is_loopback() {
            findings
                .error(
                    path("listen"),
                    "whoever reaches this address can call the target in the app's name",
                )
                .help("write an address of this machine, such as `127.0.0.1:9911`");
        }
        let taken = before.iter().any(|other| other.listen == one.listen)
            || config.listen.public == Some(one.listen)
            || config.listen.admin.own() == Some(one.listen.0);
        if taken && one.listen.0.port() != 0 {
            findings.error(path("listen"), format!("{} is taken already", one.listen));
        }
        match one.target.parse::<Target>() {
            Ok(target) => own(&target, config, &path("target"), findings),
            Err(error) => {
                findings.error(path("target"), error.to_string());
            }
        }
        if let Some(name) = one.breaker.as_deref().filter(|name| *name != DEFAULT)
            && !config.breakers.contains_key(name)
        {
            findings
                .error(
                    path("breaker"),
                    format!("there is no breaker called `{name}`"),
                )
                .related("breakers");
        }
        if let Some(own) = &one.retry {
            retry::validate(&path("retry"), own, findings);
        }
        turns(one, &path, findings);
        headers::validate(&path("headers"), &one.headers, findings);
        in_the_clear(one, &path, findings);
        times(one, &path, findings);
    }
}

fn times(one: &Egress, path: &dyn Fn(&str) -> String, findings: &mut Findings) {
    for (key, bound) in [
        ("timeout", Some(one.timeout)),
        ("attempt_timeout", one.attempt_timeout),
    ] {
        if bound.and_then(Bound::get).is_some_and(Duration::is_zero) {
            findings
                .error(path(key), "no time at all would refuse every request")
                .help("write `none` for no limit");
        }
    }
    if let Some(attempt) = one.attempt_timeout {
        let (at, related) = (path("attempt_timeout"), path("timeout"));
        let whole = (related.as_str(), [one.timeout, Bound::None]);
        limits::attempt(&at, attempt, whole, findings);
    }
}

/// A secret that goes over a network without TLS is everybody's.
fn in_the_clear(one: &Egress, path: &dyn Fn(&str) -> String, findings: &mut Findings) {
    let Ok(target) = one.target.parse::<Target>() else {
        return;
    };
    let named = |(_, value): &(&String, &Template)| value.names().next().is_some();
    if let Some((name, _)) = one.headers.iter().find(named)
        && !target.secure
        && !target.is_local()
    {
        findings
            .warning(
                path(&format!("headers.{name}")),
                "the secret is sent without TLS, where others can read it",
            )
            .related(path("target"))
            .help("write `https://` in `target`");
    }
}

fn turns(one: &Egress, path: &dyn Fn(&str) -> String, findings: &mut Findings) {
    if let Some(Err(error)) = one.limit.map(|limit| limit.quota(false)) {
        findings.error(path("limit"), error.to_string());
    }
    if one.limit.is_none() && !one.max_delay.is_zero() {
        findings
            .warning(path("max_delay"), "there is no limit to wait for")
            .help("write `limit: 100/min`, or leave it out");
    }
}

/// Calls to ourselves would turn the app's words into an operator's, or go round in circles.
fn own(target: &Target, config: &Config, path: &str, findings: &mut Findings) {
    if !target.is_local() {
        return;
    }
    let admin = config.listen.admin.own();
    if admin.is_some_and(|admin| admin.port() == target.port()) {
        findings
            .error(
                path,
                "this is the admin listener, which steers Seaworthy itself",
            )
            .related("listen.admin");
    }
    let ways = config.egress.iter().map(|other| other.listen.0.port());
    let public = config.listen.public.map(|public| public.0.port());
    if ways
        .chain(public)
        .any(|port| port != 0 && port == target.port())
    {
        findings.error(
            path,
            "Seaworthy itself listens there, so the call would go round in circles",
        );
    }
}
