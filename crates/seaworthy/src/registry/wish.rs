//! What somebody wants of a registry.

use std::collections::BTreeMap;
use std::time::Duration;

use seaworthy_config::registry::Stage;
use serde_json::Value;

/// What is to be published, and how.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The version; the next one without it.
    pub version: Option<u64>,
    /// The version that is to hold before.
    pub expect: Option<u64>,
    /// All that the registry is to say.
    pub set: BTreeMap<String, Value>,
    /// Who gets it first; everybody at once without any.
    pub stages: Vec<Stage>,
    /// How long a stage is watched before the next one begins.
    pub hold: Duration,
    /// How long an instance may take to say what became of it.
    pub ack_timeout: Duration,
    /// The share of requests that may fail in the cohort beyond what fails elsewhere.
    pub errors: f64,
    /// Who publishes it.
    pub author: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Whether word of the instances is waited for.
    pub waits: bool,
}
