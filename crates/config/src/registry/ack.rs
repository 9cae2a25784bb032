//! What became of a record at one instance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one instance says of the latest record that it has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// Who says it.
    pub instance: String,
    /// Its environment.
    pub environment: String,
    /// The latest record that it has seen; 0 before the first.
    pub sequence: u64,
    /// The version that it holds; nothing while the registry says nothing for it.
    pub version: Option<u64>,
    /// What became of the record.
    pub result: Outcome,
    /// Why it was not taken in, or taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was said, as RFC 3339.
    pub at: String,
    /// The hash of the configuration that holds, without what is an instance's own, such as its addresses.
    pub hash: String,
    /// The configuration that holds, counted from the start of the process.
    pub generation: u64,
    /// Requests that were answered since the start of the process.
    pub requests: u64,
    /// Those of them that failed (5xx).
    pub failed: u64,
    /// The time that all of them took, in milliseconds.
    pub total_ms: f64,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What it says holds.
    Success,
    /// It is wrong, and nothing was changed.
    Invalid,
    /// It could not be taken in, and nothing was changed.
    Failed,
    /// It did harm here, and what was before holds again.
    Reverted,
}

impl Outcome {
    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
            Self::Reverted => "reverted",
        }
    }
}
