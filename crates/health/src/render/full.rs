//! The product's own shape.

use seaworthy_core::health::{Status, Weight};
use serde_json::{Value, json};

use super::{Scene, milliseconds, timestamp};
use crate::report::{Component, Operated};
use crate::{Gate, View};

pub(super) fn document(scene: &Scene<'_>) -> Value {
    let snapshot = scene.snapshot;
    let mut document = json!({
        "status": scene.word(scene.status()),
        "service": snapshot.service,
        "checked_at": scene.now(),
    });
    if let Some(reason) = scene.reason() {
        document["message"] = reason.into();
    }
    if matches!(scene.ask.view, View::Detailed | View::Summary) {
        document["state"] = snapshot.state.into();
        document["uptime_seconds"] = scene.uptime();
        document["verdict"] = snapshot.verdict().word().into();
    }
    if scene.ask.view == View::Summary {
        summarize(scene, &mut document);
    }
    if scene.ask.view == View::Detailed {
        document["version"] = snapshot.version.clone().into();
    }
    if scene.shows_components() {
        let app = scene.ask.component.is_none().then(|| app(scene));
        let checks = scene.components().map(|one| {
            let mut document = one.document();
            document["status"] = scene.word(one.status);
            document
        });
        document["components"] = app.into_iter().chain(checks).collect();
    }
    document
}

/// The app itself, which needs no check to be looked at.
fn app(scene: &Scene<'_>) -> Value {
    let (status, message) = match &scene.snapshot.gate {
        Gate::Open => (Status::Healthy, "ready"),
        Gate::Closed(reason) => (Status::Unhealthy, reason.as_str()),
    };
    json!({
        "name": "app",
        "kind": "app",
        "status": scene.word(status),
        "message": message,
        "critical": true,
        "metadata": {"instances": scene.snapshot.instances},
    })
}

impl Component {
    /// Everything that is known of it, as JSON.
    pub fn document(&self) -> Value {
        document_of(self)
    }
}

fn document_of(one: &Component) -> Value {
    let mut document = json!({
        "name": one.name,
        "kind": one.kind,
        "status": one.status.word(),
        "message": one.message,
        "critical": one.weight == Weight::Critical,
        "duration_ms": milliseconds(one),
        "checked_at": one.checked_at.map(timestamp),
        "metadata": one.metadata,
    });
    let mut note = |key: &str, value: Value| document[key] = value;
    if one.weight == Weight::Shared {
        note("shared", true.into());
    }
    if one.stale {
        note("stale", true.into());
    }
    match one.operated {
        Some(Operated::Disabled { .. }) => note("enabled", false.into()),
        Some(Operated::Forced { .. }) => note("forced", true.into()),
        None => {}
    }
    document
}

fn summarize(scene: &Scene<'_>, document: &mut Value) {
    let snapshot = scene.snapshot;
    document["counts"] = counts(scene);
    document["degraded_features"] = degraded_features(scene);
    document["startup"] = json!({
        "started_at": timestamp(snapshot.started_at),
        "duration_ms": snapshot.startup_ms,
    });
}

/// How many components have which word.
pub(super) fn counts(scene: &Scene<'_>) -> Value {
    let count = |status| {
        let components = scene.snapshot.report.components.iter();
        components
            .filter(|one| one.counts() && one.status == status)
            .count()
    };
    json!({
        "healthy": count(Status::Healthy),
        "degraded": count(Status::Degraded),
        "unhealthy": count(Status::Unhealthy),
    })
}

/// The features that run on their fallback.
pub(super) fn degraded_features(scene: &Scene<'_>) -> Value {
    let components = scene.snapshot.report.components.iter();
    components
        .filter(|one| one.kind == "feature" && one.status != Status::Healthy)
        .map(|one| Value::from(one.name.as_str()))
        .collect()
}
