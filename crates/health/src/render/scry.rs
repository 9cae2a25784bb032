//! An ingestion service: a short liveness document, and a system's health with its components as a list.

use std::borrow::Cow;

use schemars::JsonSchema;
use seaworthy_core::health::Status;
use serde::Serialize;

use super::Scene;
use super::listed::Listed;
use super::word::{Moment, Word};
use crate::{Metadata, View};

/// The health of an ingestion service.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Document<'a> {
    /// All that is known.
    System(System<'a>),
    /// Whether it lives.
    Probe(Probe<'a>),
}

/// Whether it lives.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Probe<'a> {
    /// The word for it.
    status: Word,
    /// The name of the service.
    service: &'a str,
    /// When this was written.
    checked_at: Moment,
    /// What the app itself says, where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<Listed<'a>>>,
}

/// All that is known.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct System<'a> {
    /// The word for the whole.
    status: Word,
    /// The name of the service.
    service: &'a str,
    /// When this was written.
    checked_at: Moment,
    /// The version of the service.
    version: Option<&'a str>,
    /// Seconds since the start.
    uptime_seconds: u64,
    /// What it depends on, and itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<Listed<'a>>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(scene: &'a Scene<'_>) -> Self {
        let snapshot = scene.snapshot;
        let (status, service, checked_at) = (scene.status_word(), &*snapshot.service, scene.now());
        let components = scene.components(scene.shows_components()).map(|checks| {
            let checks = checks.map(|one| Listed::new(scene, one));
            checks.chain(api(scene)).collect()
        });
        if matches!(scene.ask.view, View::Live | View::Startup) {
            return Self::Probe(Probe {
                status,
                service,
                checked_at,
                components,
            });
        }
        Self::System(System {
            status,
            service,
            checked_at,
            version: snapshot.version.as_deref(),
            uptime_seconds: scene.uptime(),
            components,
        })
    }
}

/// The service itself is a component too, and well as long as it answers.
fn api(scene: &Scene<'_>) -> Option<Listed<'static>> {
    let shown = scene.shows_components() && scene.ask.component.is_none();
    shown.then(|| Listed {
        name: "api",
        status: scene.word(Status::Healthy),
        message: "API is running",
        metadata: Cow::Owned(Metadata::new()),
    })
}
