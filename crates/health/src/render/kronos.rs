//! A prediction service: checks by name, each with its facts beside its word.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_core::health::Status;
use serde::Serialize;

use super::Scene;
use super::word::{Moment, Word};
use crate::{Component, Metadata};

/// The health of a prediction service.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    /// The word for the whole.
    status: Word,
    /// When this was written.
    timestamp: Moment,
    /// Seconds since the start.
    uptime_seconds: u64,
    /// Why the word is not `healthy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What it depends on, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<BTreeMap<&'a str, Check<'a>>>,
}

/// A component, with its facts beside these keys.
#[derive(Debug, Serialize, JsonSchema)]
struct Check<'a> {
    /// The word for it.
    status: Word,
    #[serde(flatten)]
    facts: Metadata,
    /// One sentence, when the word is not `healthy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> Document<'a> {
    pub(super) fn new(scene: &'a Scene<'_>) -> Self {
        Self {
            status: scene.status_word(),
            timestamp: scene.now(),
            uptime_seconds: scene.uptime(),
            message: scene.reason(),
            checks: scene.components(scene.shows_components()).map(|all| {
                all.map(|one| (one.name.as_str(), Check::new(scene, one)))
                    .collect()
            }),
        }
    }
}

impl<'a> Check<'a> {
    fn new(scene: &Scene<'_>, one: &'a Component) -> Self {
        // How long the look took is no fact about what was looked at, and no fact stands in for the word.
        let is_fact = |key: &str| !matches!(key, "latency_ms" | "status" | "message");
        let facts = one.metadata.iter().filter(|(key, _)| is_fact(key));
        Self {
            status: scene.word(one.status),
            facts: facts
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            message: (one.status != Status::Healthy).then_some(&one.message),
        }
    }
}
