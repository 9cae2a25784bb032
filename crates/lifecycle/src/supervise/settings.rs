//! What the supervisor needs to know.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use seaworthy_core::address::Address;
use seaworthy_core::backoff::{Policy, Rules};
use seaworthy_core::quantity;
use serde::{Deserialize, Serialize};

use crate::spawn::Program;

/// When to start a dead app again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Restart {
    /// Which endings lead to a new start: `always`, `on-failure` (not after exit code 0) or `never`.
    pub policy: Policy,
    /// The wait after the first early death; it doubles with each further one.
    pub base: quantity::Duration,
    /// The longest wait.
    pub max: quantity::Duration,
    /// An app that was ready for this long is started again at once when it dies, and the death is not counted.
    pub stable_after: quantity::Duration,
    /// After so many early deaths within `window` Seaworthy gives up and exits with the app's exit code.
    pub limit: u32,
    /// The time within which early deaths are counted.
    pub window: quantity::Duration,
}

impl Default for Restart {
    fn default() -> Restart {
        let rules = Rules::default();
        Restart {
            policy: rules.policy,
            base: rules.base.into(),
            max: rules.max.into(),
            stable_after: rules.stable_after.into(),
            limit: rules.limit,
            window: rules.window.into(),
        }
    }
}

impl From<&Restart> for Rules {
    fn from(config: &Restart) -> Rules {
        Rules {
            policy: config.policy,
            base: config.base.into(),
            max: config.max.into(),
            stable_after: config.stable_after.into(),
            limit: config.limit,
            window: config.window.into(),
        }
    }
}

/// What holds for all instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many copies run.
    pub instances: usize,
    /// When to start a dead one again.
    pub rules: Rules,
    /// How long one may take until it listens.
    pub startup_timeout: Duration,
    /// The port that is ours, so that an app that listens on it too can be told so.
    pub public: Option<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            instances: 1,
            rules: Rules::default(),
            startup_timeout: Duration::from_secs(60),
            public: None,
        }
    }
}

/// One start of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What to start.
    pub program: Program,
    /// Where it will listen.
    pub address: Address,
}
