//! A bot with an API: components by name with response times, circuit breakers beside them, and a summary.

use serde_json::{Map, Value, json};

use super::{Scene, full, milliseconds};
use crate::View;

pub(super) fn document(scene: &Scene<'_>) -> Value {
    if scene.ask.view == View::Summary {
        let mut document = full::document(scene);
        if let Some(fields) = document.as_object_mut() {
            fields.remove("service");
        }
        return document;
    }
    let mut document = json!({
        "status": scene.word(scene.status()),
        "timestamp": scene.now(),
    });
    if let Some(reason) = scene.reason() {
        document["message"] = reason.into();
    }
    if scene.shows_components() {
        let components: Map<String, Value> = scene
            .components()
            .map(|one| {
                let component = json!({
                    "status": scene.word(one.status),
                    "message": one.message,
                    "response_time_ms": milliseconds(one),
                    "metadata": one.metadata,
                });
                (one.name.clone(), component)
            })
            .collect();
        document["uptime_seconds"] = scene.uptime();
        document["components"] = components.into();
        // Filled by the breakers of the traffic; there are none without rules for them.
        document["circuit_breakers"] = json!({});
    }
    document
}
