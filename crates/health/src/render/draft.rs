//! `application/health+json`, as in draft-inadarei-api-health-check-06. The draft has expired; tools that ask for it remain.

use seaworthy_core::health::Status;
use serde_json::{Map, Value, json};

use super::{Scene, milliseconds, timestamp};

const fn word(status: Status) -> &'static str {
    match status {
        Status::Healthy => "pass",
        Status::Degraded => "warn",
        Status::Unhealthy => "fail",
    }
}

pub(super) fn document(scene: &Scene<'_>) -> Value {
    // The draft ties words to codes: what warns has to be answered with 2xx.
    let status = match (scene.passes(), scene.status()) {
        (false, _) => Status::Unhealthy,
        (true, Status::Unhealthy) => Status::Degraded,
        (true, status) => status,
    };
    let mut document = json!({
        "status": word(status),
        "serviceId": scene.snapshot.service,
    });
    if let Some(version) = &scene.snapshot.version {
        document["releaseId"] = version.as_str().into();
    }
    if let Some(reason) = scene.reason() {
        document["output"] = reason.into();
    }
    if scene.shows_components() {
        let checks: Map<String, Value> = scene
            .components()
            .map(|one| {
                let mut check = json!({
                    "componentType": one.kind,
                    "observedValue": milliseconds(one),
                    "observedUnit": "ms",
                    "status": word(one.status),
                    "time": one.checked_at.map(timestamp),
                });
                if one.status != Status::Healthy {
                    check["output"] = one.message.as_str().into();
                }
                (format!("{}:responseTime", one.name), json!([check]))
            })
            .collect();
        document["checks"] = checks.into();
    }
    document
}
