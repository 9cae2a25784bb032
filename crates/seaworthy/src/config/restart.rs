//! The section `app.restart`: what happens when the app ends by itself.

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::backoff::{Policy, Rules};
use seaworthy_core::quantity::Duration;
use serde::{Deserialize, Serialize};

/// What happens when the app ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Restart {
    /// When the app is started again. Default `always`.
    pub policy: Policy,
    /// The wait before the first repeated start of an app that dies early; it doubles with each. Default `500ms`.
    pub base: Duration,
    /// The longest wait. Default `30s`.
    pub max: Duration,
    /// An app that was ready for this long is started again at once, and its end is not counted. Default `1s`.
    pub stable_after: Duration,
    /// After this many early deaths within `window` Seaworthy ends with the app's code. Default 5.
    #[schemars(range(min = 1))]
    pub limit: u32,
    /// The time within which early deaths are counted. Default `60s`.
    pub window: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: Policy::Always,
            base: Duration::from_millis(500),
            max: Duration::from_secs(30),
            stable_after: Duration::from_secs(1),
            limit: 5,
            window: Duration::from_secs(60),
        }
    }
}

impl From<&Restart> for Rules {
    fn from(restart: &Restart) -> Self {
        Self {
            policy: restart.policy,
            base: restart.base.get(),
            max: restart.max.get(),
            stable_after: restart.stable_after.get(),
            limit: restart.limit,
            window: restart.window.get(),
        }
    }
}

pub(super) fn validate(restart: &Restart, findings: &mut Findings) {
    if restart.base > restart.max {
        findings
            .error(
                "app.restart.base",
                format!(
                    "the first wait of {} is longer than the longest of {}",
                    restart.base, restart.max
                ),
            )
            .related("app.restart.max")
            .help("raise `app.restart.max` or lower `app.restart.base`");
    }
    if restart.window.is_zero() {
        findings.error(
            "app.restart.window",
            "nothing can be counted in no time at all",
        );
    }
}
