//! A harvester of signals: status, version, uptime and a list of components with the duration of each check.

use serde_json::{Value, json};

use super::{Scene, milliseconds};
use crate::View;

pub(super) fn document(scene: &Scene<'_>) -> Value {
    // Liveness looks at nothing outside, and so has no components to show.
    let shows = !matches!(scene.ask.view, View::Live);
    let components = scene.components().filter(|_| shows).map(|one| {
        json!({
            "name": one.name,
            "status": scene.word(one.status),
            "message": one.message,
            "check_duration_ms": milliseconds(one),
        })
    });
    json!({
        "status": scene.word(scene.status()),
        "version": scene.snapshot.version,
        "uptime": scene.uptime(),
        "components": components.collect::<Value>(),
    })
}
