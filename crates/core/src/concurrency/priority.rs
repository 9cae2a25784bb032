//! What matters more when not everything can be served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a request matters; the lowest is turned away first.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// What can be done later: reports, prefetching.
    Low,
    /// Everything that nobody said anything about.
    #[default]
    Normal,
    /// What users wait for.
    High,
    /// What must get through to the last: payments, logins.
    Critical,
}

impl Priority {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];
}
