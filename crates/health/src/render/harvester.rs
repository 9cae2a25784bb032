//! A harvester of signals: status, version, uptime and a list of components with the duration of each check.

use schemars::JsonSchema;
use serde::Serialize;

use super::Scene;
use super::word::{Word, milliseconds};
use crate::View;

/// The health of a harvester of signals.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    /// The word for the whole.
    status: Word,
    /// The version of the service.
    version: Option<&'a str>,
    /// Seconds since the start.
    uptime: u64,
    /// What it depends on.
    components: Vec<Component<'a>>,
}

/// A component.
#[derive(Debug, Serialize, JsonSchema)]
struct Component<'a> {
    /// Its name.
    name: &'a str,
    /// The word for it.
    status: Word,
    /// One sentence.
    message: &'a str,
    /// How long the last look took.
    check_duration_ms: f64,
}

impl<'a> Document<'a> {
    pub(super) fn new(scene: &'a Scene<'_>) -> Self {
        // Liveness looks at nothing outside, and so has no components to show.
        let shows = scene.ask.view != View::Live;
        let components = scene.components(shows).into_iter().flatten();
        Self {
            status: scene.status_word(),
            version: scene.snapshot.version.as_deref(),
            uptime: scene.uptime(),
            components: components
                .map(|one| Component {
                    name: &one.name,
                    status: scene.word(one.status),
                    message: &one.message,
                    check_duration_ms: milliseconds(one),
                })
                .collect(),
        }
    }
}
