//! A gateway: the word `alive`, and components as a list.

use schemars::JsonSchema;
use serde::Serialize;

use super::Scene;
use super::listed::Listed;
use super::word::Word;
use crate::View;

/// The health of a gateway.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    /// The word for it; `alive` is all that liveness says.
    #[schemars(extend("enum" = ["alive", "healthy", "degraded", "unhealthy", "HEALTHY", "DEGRADED", "UNHEALTHY"]))]
    status: Word,
    /// Why the word is not `healthy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// What it depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<Listed<'a>>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(scene: &'a Scene<'_>) -> Self {
        let alive = scene.ask.view == View::Live && scene.passes();
        // Readiness names what it depends on: whoever is told 503 wants to know which of the three it is.
        let shows = matches!(scene.ask.view, View::Ready | View::Detailed);
        Self {
            status: if alive {
                Word::ALIVE
            } else {
                scene.status_word()
            },
            message: scene.reason(),
            components: scene
                .components(shows)
                .map(|all| all.map(|one| Listed::new(scene, one)).collect()),
        }
    }
}
