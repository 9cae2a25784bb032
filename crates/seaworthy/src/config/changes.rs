//! The section `config`: how this configuration changes while the service runs.

use schemars::JsonSchema;
use seaworthy_core::quantity::{Duration, Share};
use serde::{Deserialize, Serialize};

/// How this configuration changes while the service runs. SIGHUP, `seaworthy config reload` and the admin API always work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Whether a file that changes is taken in by itself. Default `false`.
    pub watch: bool,
    /// How long a new configuration is watched, and taken back when the service does worse than before. `0s` watches none.
    /// Default `30s`.
    pub verify_window: Duration,
    /// The share of requests that may fail (5xx) within that time beyond what failed before. Default `5%`.
    pub verify_errors: Share,
    /// How many versions are kept in `state_dir`. Default `100`.
    #[schemars(range(min = 1, max = 10_000))]
    pub history: u32,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            watch: false,
            verify_window: Duration::from_secs(30),
            verify_errors: Share::percent(5),
            history: 100,
        }
    }
}
