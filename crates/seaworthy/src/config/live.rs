//! The section `health.live`: when the app counts as broken although its process runs.
//!
//! Nothing here looks at a dependency, and nothing here can be made to: liveness that follows a database restarts every
//! replica when the database is down, which mends nothing and hurts all.

use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::health::About;
use seaworthy_core::quantity::Duration;
use seaworthy_core::route::RouteTable;
use serde::{Deserialize, Serialize};

use super::Config;
use super::service::Kind;

/// What the app is given when it is asked itself and nothing says how long.
const USUAL: Duration = Duration::from_secs(60);

/// When the app counts as broken although its process runs. Only then does Seaworthy restart it, and only while everything that
/// it needs works: all checks of dependencies that are not optional.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// The app is stalled when for this long requests have waited or failed (5xx) and none was answered well. Longer than
    /// the longest answer takes. Default: it is not judged; `limits.response_timeout` when `upstream` is on.
    pub stall_after: Option<Duration>,
    /// Whether the app is asked for `path` at `health.interval`, so that it is judged without requests too. Any answer of
    /// it will do; but an answer to this proves nothing about the requests that wait. Default `false`.
    pub upstream: bool,
    /// What the app is asked for. Default `/`.
    pub path: String,
    /// Routes whose answers prove nothing, because a wedged app can give them: `METHOD /path` as in `routes`. Default: what
    /// pings are usually called.
    pub ignore: Vec<String>,
    /// Checks that say whether the app itself is alive, such as the heartbeat of a worker. Checks of dependencies are refused.
    /// Default: none.
    pub checks: Vec<String>,
}

impl Default for Live {
    fn default() -> Self {
        let pings = [
            "/ping",
            "/live",
            "/livez",
            "/ready",
            "/readyz",
            "/health*",
            "/status",
            "/metrics",
            "/favicon.ico",
        ];
        Self {
            stall_after: None,
            upstream: false,
            path: "/".to_owned(),
            ignore: pings.map(str::to_owned).to_vec(),
            checks: Vec::new(),
        }
    }
}

impl Config {
    /// For how long the app may get nowhere, if anybody judges.
    #[must_use]
    pub fn stall_after(&self) -> Option<Duration> {
        let live = &self.health.live;
        let asked = live
            .upstream
            .then(|| self.limits.response_timeout.get().unwrap_or(USUAL));
        live.stall_after.or(asked)
    }

    /// Whether anything here says when the app counts as broken.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.stall_after().is_some() || !self.health.live.checks.is_empty()
    }

    /// The routes whose answers prove nothing, if anybody judges.
    #[must_use]
    pub fn pings(&self) -> Option<Arc<RouteTable>> {
        self.stall_after()?;
        // Checked when the configuration was.
        Some(Arc::new(
            RouteTable::try_new(&self.health.live.ignore).unwrap_or_default(),
        ))
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let live = &config.health.live;
    if !live.path.starts_with('/') {
        findings
            .error("health.live.path", format!("`{}` is no path", live.path))
            .help("write one such as `/`");
    }
    if let Err(error) = RouteTable::try_new(&live.ignore) {
        findings.error("health.live.ignore", error.to_string());
    }
    validate_time(config, findings);
    if live.upstream && config.service.kind == Kind::Worker {
        findings
            .error(
                "health.live.upstream",
                "a worker cannot be asked: it listens nowhere",
            )
            .related("service.kind")
            .help("let it give a heartbeat, and name that check in `health.live.checks`");
    }
    for (index, name) in live.checks.iter().enumerate() {
        let at = format!("health.live.checks[{index}]");
        let check = config
            .health
            .checks
            .iter()
            .find(|check| check.common().name == *name);
        match check {
            None => {
                findings
                    .error(at, format!("there is no check called `{name}`"))
                    .help("name one of `health.checks`");
            }
            Some(check) if check.about() == About::Dependency => {
                refuse(at, name, check.kind(), findings)
            }
            Some(_) => {}
        }
    }
}

fn refuse(at: String, name: &str, kind: &str, findings: &mut Findings) {
    findings
        .error(at, format!("liveness cannot depend on `{name}`: a restart of the app does not mend what a {kind} check looks at"))
        .help("take it out; readiness follows it already, and the app is not restarted while it is down");
}

fn validate_time(config: &Config, findings: &mut Findings) {
    let Some(limit) = config.health.live.stall_after else {
        return;
    };
    if limit < Duration::from_secs(1) {
        findings
            .error(
                "health.live.stall_after",
                "a second is the shortest stall that can be told",
            )
            .help("write `60s`");
    }
    let allowed = config.limits.response_timeout.get();
    if allowed.is_none_or(|allowed| limit < allowed) {
        let allowed = allowed.map_or_else(
            || "as long as they like".to_owned(),
            |allowed| allowed.to_string(),
        );
        findings
            .warning(
                "health.live.stall_after",
                format!("requests may take {allowed} to the first byte, so that one slow request alone may look like a stall"),
            )
            .related("limits.response_timeout")
            .help("raise `stall_after`, or lower `limits.response_timeout`");
    }
}
