//! The section `service`: what the service is called.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the service is called in logs, metrics and answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// The name of the service. Default `app`.
    pub name: String,
    /// The version of the service, as its probes show it. Default: none.
    pub version: Option<String>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            name: "app".into(),
            version: None,
        }
    }
}
