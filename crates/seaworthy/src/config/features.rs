//! The section `features`: who is told when a feature of the service is degraded or recovers.

use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::dsn::Dsn;
use seaworthy_core::quantity::Duration;
use serde::{Deserialize, Serialize};

use super::Config;

/// Features of the service, and who is told when one is degraded or recovers. They are put on their fallbacks by breakers, by
/// fallbacks and by hand (`PUT /-/features/NAME`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Where a document is posted whenever a feature is degraded or recovers. Default: nowhere.
    #[schemars(extend("x-restart" = true))]
    pub webhook: Option<Webhook>,
}

/// Where documents are posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// An `http://` or `https://` URL; a user and a password in it are sent as Basic authorization.
    pub url: Dsn,
    /// A file with the certificates (PEM) that are trusted. Default: those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How long one try may take. Default `5s`.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// How often a document is sent until it is taken, with growing waits of half a second to half a minute between. Default 6.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = 20))]
    pub attempts: u32,
}

const fn timeout() -> Duration {
    Duration::from_secs(5)
}

const fn attempts() -> u32 {
    6
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let Some(webhook) = &config.features.webhook else {
        return;
    };
    let own = &config.around().own;
    super::text::web("features.webhook.url", &webhook.url, own, findings);
    if webhook.timeout.is_zero() {
        findings
            .error("features.webhook.timeout", "no time at all is not enough")
            .help("write a time such as `5s`");
    }
    if webhook.attempts == 0 {
        findings
            .error("features.webhook.attempts", "nothing would ever be sent")
            .help("leave `features.webhook` out");
    }
}
