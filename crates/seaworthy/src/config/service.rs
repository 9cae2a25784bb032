//! The section `service`: what the service is called, and what it does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the service is called in logs, metrics and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// The name of the service. Default `app`.
    pub name: String,
    /// What it does. Default `http`.
    pub kind: Kind,
    /// The version of the service, as its probes show it. Default: none.
    pub version: Option<String>,
}

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It answers requests, which come through Seaworthy.
    #[default]
    Http,
    /// It takes work from a queue and listens nowhere. It is ready when it has run for a second, and all that is public are its
    /// probes. Its own checks, such as a heartbeat, say whether it works.
    Worker,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            name: "app".into(),
            kind: Kind::Http,
            version: None,
        }
    }
}
