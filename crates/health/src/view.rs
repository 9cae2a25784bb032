//! The views there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a path can be mapped to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Seaworthy itself answers: 200 as long as the process runs, while it drains as well.
    #[default]
    Live,
    /// Whether requests reach the app: 200 or 503.
    Ready,
    /// Whether the app has been ready once: 503 until then, 200 for ever after.
    Startup,
    /// Everything that is known, with the code of readiness.
    Detailed,
    /// State, uptime and start-up facts; always 200.
    Summary,
    /// Prometheus metrics.
    Metrics,
    /// Who is blocked and who is flagged; always 200.
    Security,
    /// Not shown but done: `POST` takes the configuration in anew and says what became of it.
    Reload,
}

impl View {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Live,
        Self::Ready,
        Self::Startup,
        Self::Detailed,
        Self::Summary,
        Self::Metrics,
        Self::Security,
        Self::Reload,
    ];

    /// Whether it is a document about health; the others are shown by those who know of what they show.
    pub const fn is_health(self) -> bool {
        !matches!(self, Self::Metrics | Self::Security | Self::Reload)
    }
}
