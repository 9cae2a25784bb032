//! A prediction service: checks by name, each with its facts beside its word.

use seaworthy_core::health::Status;
use serde_json::{Map, Value, json};

use super::Scene;
use crate::report::Component;

pub(super) fn document(scene: &Scene<'_>) -> Value {
    let mut document = json!({
        "status": scene.word(scene.status()),
        "timestamp": scene.now(),
        "uptime_seconds": scene.uptime(),
    });
    if let Some(reason) = scene.reason() {
        document["message"] = reason.into();
    }
    if scene.shows_components() {
        let checks = scene.components();
        let checks: Map<String, Value> = checks
            .map(|one| (one.name.clone(), check(scene, one)))
            .collect();
        document["checks"] = checks.into();
    }
    document
}

fn check(scene: &Scene<'_>, one: &Component) -> Value {
    let mut facts = Map::new();
    facts.insert("status".to_owned(), scene.word(one.status));
    for (key, value) in &one.metadata {
        // How long the look took is no fact about what was looked at.
        if key != "latency_ms" {
            facts.insert(key.clone(), value.clone());
        }
    }
    if one.status != Status::Healthy {
        facts.insert("message".to_owned(), one.message.as_str().into());
    }
    facts.into()
}
