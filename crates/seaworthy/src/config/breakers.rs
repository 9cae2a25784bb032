//! The section `breakers`: who is left alone for a while after failing too often.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::breaker::{self, Mode as Decides, Rules, Slow};
use seaworthy_core::quantity::{Duration, Share};
use seaworthy_core::route::RouteTable;
use serde::{Deserialize, Serialize};

use super::{Config, Preset};

/// The name of the breaker for whatever has none of its own.
pub const DEFAULT: &str = "default";
/// More breakers are a mistake, and each of them is a series of metrics.
const MOST: usize = 256;

/// A breaker. While it is open, requests are answered at once with 503 `CircuitOpen`, and the app is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// When it opens: after failures in a row (`consecutive`), failures within the window (`count`), or when a share of the
    /// calls within the window failed (`rate`). Default `consecutive`.
    pub mode: Mode,
    /// How many failures open it, in the modes `consecutive` and `count`. Default 5.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failures: u32,
    /// Which share of failures opens it, in the mode `rate`. Default `50%`.
    pub threshold: Share,
    /// Shares mean nothing before so many calls lie in the window. Default 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_calls: u32,
    /// How far back counts and shares look. Default `30s`.
    pub window: Duration,
    /// How long it stays open before a probe is let through. Default `60s`.
    #[serde(alias = "cooldown")]
    #[schemars(extend("x-aliases" = ["cooldown"]))]
    pub recovery: Duration,
    /// The open time doubles each time a probe fails, up to this, and is spread by up to a tenth. Default: it does not.
    pub recovery_max: Option<Duration>,
    /// How many probes a half-open breaker lets through, all of which have to succeed. Default 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub half_open: u32,
    /// How long the probes may take; after that others are let through. Default `2m`.
    pub half_open_timeout: Duration,
    /// A call that takes this long is slow. Default: none is.
    pub slow_after: Option<Duration>,
    /// Which share of slow calls opens it. Default `100%`.
    pub slow_threshold: Share,
    /// Which requests it is for, written like routes. `default` needs none: it is for whatever no other breaker is for.
    pub routes: Vec<String>,
    /// Which entries of `egress` it is for, by name.
    pub egress: Vec<String>,
    /// The feature that is degraded while it is open, as `GET /-/features` shows it. Default: none.
    pub feature: Option<String>,
    /// `false` lets every request through and counts nothing. Default `true`.
    pub enabled: bool,
}

/// When a breaker opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// After failures in a row.
    #[default]
    Consecutive,
    /// After failures within the window.
    Count,
    /// When a share of the calls within the window failed.
    Rate,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            mode: Mode::Consecutive,
            failures: 5,
            threshold: Share::percent(50),
            min_calls: 20,
            window: Duration::from_secs(30),
            recovery: Duration::from_secs(60),
            recovery_max: None,
            half_open: 1,
            half_open_timeout: Duration::from_secs(120),
            slow_after: None,
            slow_threshold: Share::percent(100),
            routes: Vec::new(),
            egress: Vec::new(),
            feature: None,
            enabled: true,
        }
    }
}

impl Breaker {
    /// The rules of this breaker.
    pub fn rules(&self) -> Rules {
        let doubles = self.recovery_max.map(Duration::get);
        Rules {
            mode: match self.mode {
                Mode::Consecutive => Decides::Consecutive {
                    failures: self.failures,
                },
                Mode::Count => Decides::Count {
                    failures: self.failures,
                },
                Mode::Rate => Decides::Rate {
                    threshold: self.threshold.get(),
                },
            },
            slow: self.slow_after.map(|after| Slow {
                after: after.get(),
                threshold: self.slow_threshold.get(),
            }),
            min_calls: self.min_calls,
            window: self.window.get(),
            open: self.recovery.get(),
            open_max: doubles,
            // Only where the time is not a promise of the file.
            jitter: if doubles.is_some() { 0.1 } else { 0.0 },
            probes: self.half_open,
            half_open: self.half_open_timeout.get(),
        }
    }

    /// What somebody said of it in the file.
    pub fn steer(&self) -> Option<breaker::Steer> {
        (!self.enabled).then_some(breaker::Steer::Disable)
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let breakers = &config.breakers;
    if breakers.len() > MOST {
        findings.error(
            "breakers",
            format!("there are {} breakers, and at most {MOST}", breakers.len()),
        );
    }
    for (name, one) in breakers {
        let path = |key: &str| format!("breakers.{name}.{key}");
        if !super::text::is_name(name) {
            findings
                .error(format!("breakers.{name}"), "it is not a name")
                .help("write letters, digits, `_`, `-` and `.`");
        }
        for (key, time) in [
            ("window", Some(one.window)),
            ("recovery", Some(one.recovery)),
            ("recovery_max", one.recovery_max),
            ("half_open_timeout", Some(one.half_open_timeout)),
            ("slow_after", one.slow_after),
        ] {
            if time.is_some_and(Duration::is_zero) {
                findings
                    .error(path(key), "no time at all makes the breaker pointless")
                    .help("write a time such as `30s`");
            }
        }
        if one.recovery_max.is_some_and(|most| most < one.recovery) {
            findings
                .error(
                    path("recovery_max"),
                    "it is shorter than the first open time",
                )
                .related(path("recovery"))
                .help(format!("write at least `{}`", one.recovery));
        }
        for (key, share) in [
            ("threshold", one.threshold),
            ("slow_threshold", one.slow_threshold),
        ] {
            if share.is_zero() {
                findings
                    .error(path(key), "no share at all opens the breaker for nothing")
                    .help("write a share such as `50%`");
            }
        }
        if let Some(feature) = &one.feature
            && !super::text::is_name(feature)
        {
            findings.error(path("feature"), "it is not a name");
        }
    }
    patterns(breakers, findings);
    ways(config, findings);
}

/// The way out that a breaker of the preset `house` is for, once there is one.
const AWAITED: &str = "notifications";

/// A way out that is not there, or that two breakers claim.
fn ways(config: &Config, findings: &mut Findings) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, one) in &config.breakers {
        let path = format!("breakers.{name}.egress");
        for way in &one.egress {
            let is_awaited = config.preset == Some(Preset::House) && way == AWAITED;
            let is_there = is_awaited || config.egress.iter().any(|other| other.name == *way);
            if !is_there {
                findings
                    .warning(path.clone(), format!("`egress` has nothing called `{way}`"))
                    .related("egress")
                    .help("write the `name` of an entry of `egress`, or leave it out");
            } else if let Some(other) = seen.insert(way, name) {
                findings
                    .error(
                        path.clone(),
                        format!("`{way}` belongs to `{other}` already"),
                    )
                    .related(format!("breakers.{other}.egress"))
                    .help("a way out has one breaker: keep one of the two");
            }
        }
    }
}

fn patterns(breakers: &BTreeMap<String, Breaker>, findings: &mut Findings) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, one) in breakers {
        let path = format!("breakers.{name}.routes");
        if let Err(error) = RouteTable::try_new(&one.routes) {
            findings.error(path.clone(), error.to_string());
        }
        for pattern in &one.routes {
            if let Some(other) = seen.insert(pattern, name) {
                findings
                    .error(
                        path.clone(),
                        format!("`{pattern}` belongs to `{other}` already"),
                    )
                    .related(format!("breakers.{other}.routes"))
                    .help("a request has one breaker: keep one of the two");
            }
        }
    }
}
