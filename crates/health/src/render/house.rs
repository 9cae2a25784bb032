//! A bot with an API: components by name with response times, circuit breakers beside them, and a summary.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::word::{Moment, Word, milliseconds};
use super::{Scene, full};
use crate::{Metadata, View};

/// The health of a bot with an API.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Document<'a> {
    /// Probes, and all that is known.
    Check(Check<'a>),
    /// The summary.
    Summary(full::Document<'a>),
}

/// Probes, and all that is known.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Check<'a> {
    /// The word for the whole.
    status: Word,
    /// When this was written.
    timestamp: Moment,
    /// Why the word is not `healthy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Seconds since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_seconds: Option<u64>,
    /// What it depends on, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<BTreeMap<&'a str, Component<'a>>>,
    /// The breakers of the traffic, by name; there are none without rules for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    circuit_breakers: Option<Metadata>,
}

/// A component.
#[derive(Debug, Serialize, JsonSchema)]
struct Component<'a> {
    /// The word for it.
    status: Word,
    /// One sentence.
    message: &'a str,
    /// How long the last look took.
    response_time_ms: f64,
    /// Further facts.
    metadata: &'a Metadata,
}

impl<'a> Document<'a> {
    pub(super) fn new(scene: &'a Scene<'_>) -> Self {
        if scene.ask.view == View::Summary {
            return Self::Summary(full::Document::new(scene));
        }
        let component = |one: &'a crate::Component| Component {
            status: scene.word(one.status),
            message: &one.message,
            response_time_ms: milliseconds(one),
            metadata: &one.metadata,
        };
        let shows = scene.shows_components();
        Self::Check(Check {
            status: scene.status_word(),
            timestamp: scene.now(),
            message: scene.reason(),
            uptime_seconds: shows.then(|| scene.uptime()),
            components: scene
                .components(shows)
                .map(|all| all.map(|one| (one.name.as_str(), component(one))).collect()),
            circuit_breakers: shows.then(|| scene.snapshot.breakers.read()),
        })
    }
}
