//! An ingestion service: a short liveness document, and a system's health with its components as a list.

use serde_json::{Value, json};

use super::Scene;
use crate::View;

pub(super) fn document(scene: &Scene<'_>) -> Value {
    let snapshot = scene.snapshot;
    let mut document = json!({
        "status": scene.word(scene.status()),
        "service": snapshot.service,
        "checked_at": scene.now(),
    });
    if matches!(scene.ask.view, View::Live | View::Startup) {
        return document;
    }
    document["version"] = snapshot.version.clone().into();
    document["uptime_seconds"] = scene.uptime();
    if scene.shows_components() {
        let checks = scene.components().map(|one| {
            json!({
                "name": one.name,
                "status": scene.word(one.status),
                "message": one.message,
                "metadata": one.metadata,
            })
        });
        // The service itself is a component too, and well as long as it answers.
        let api = scene.ask.component.is_none().then(|| {
            json!({
                "name": "api",
                "status": scene.word(seaworthy_core::health::Status::Healthy),
                "message": "API is running",
                "metadata": {},
            })
        });
        document["components"] = checks.chain(api).collect();
    }
    document
}
