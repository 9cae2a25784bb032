//! A gateway: the word `alive`, and components as a list.

use serde_json::{Value, json};

use super::Scene;
use crate::View;

pub(super) fn document(scene: &Scene<'_>) -> Value {
    if scene.ask.view == View::Live && scene.passes() {
        return json!({"status": "alive"});
    }
    let mut document = json!({"status": scene.word(scene.status())});
    if let Some(reason) = scene.reason() {
        document["message"] = reason.into();
    }
    if matches!(scene.ask.view, View::Ready | View::Detailed) {
        // Readiness names what it depends on: whoever is told 503 wants to know which of the three it is.
        document["components"] = scene
            .components()
            .map(|one| {
                json!({
                    "name": one.name,
                    "status": scene.word(one.status),
                    "message": one.message,
                    "metadata": one.metadata,
                })
            })
            .collect();
    }
    document
}
