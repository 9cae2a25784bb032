//! What the supervisor needs to know.

use std::net::SocketAddr;
use std::time::Duration;

use seaworthy_core::address::Address;
use seaworthy_core::backoff::Rules;

use crate::spawn::Program;

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
    /// Where it will listen; one that listens nowhere is ready when it has run for a moment.
    pub address: Option<Address>,
}
