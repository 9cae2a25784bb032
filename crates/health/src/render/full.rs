//! The product's own shape.

use std::borrow::Cow;

use schemars::JsonSchema;
use seaworthy_core::health::{Status, Weight};
use serde::Serialize;
use serde_json::json;

use super::Scene;
use super::word::{Moment, Word, milliseconds};
use crate::report::{Component, Operated};
use crate::{Case, FeatureDocument, Gate, Metadata, View, clock};

/// The health of a service, as Seaworthy's own views show it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    /// The word for the whole.
    status: Word,
    /// The name of the service.
    service: &'a str,
    /// When this was written.
    checked_at: Moment,
    /// Why the word is not `healthy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The phase of Seaworthy's own life, such as `running` or `draining`.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Seconds since Seaworthy started.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_seconds: Option<u64>,
    /// Who is to blame: `well`, `app_broken`, `dependency_broken` or `unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    /// How many components have which word.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    /// The names of the features that run on their fallback.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded_features: Option<Vec<String>>,
    /// The same with what is served instead, and why, whether or not a check looks at them.
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<Vec<FeatureDocument>>,
    /// How it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    startup: Option<Startup>,
    /// The version of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    /// The app and what it depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<ComponentDocument<'a>>>,
}

/// How many components have which word.
#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    healthy: usize,
    degraded: usize,
    unhealthy: usize,
}

/// How it started.
#[derive(Debug, Serialize, JsonSchema)]
struct Startup {
    /// When Seaworthy started.
    started_at: Moment,
    /// From there to the first readiness; `null` until then.
    duration_ms: Option<u64>,
}

/// Everything that is known of one component.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ComponentDocument<'a> {
    /// Its name.
    name: &'a str,
    /// What kind of check looks at it.
    kind: &'a str,
    /// The word for it.
    status: Word,
    /// Whether it was found to work, whatever the word. A critical one that does not pass closes readiness.
    passes: bool,
    /// One sentence.
    message: &'a str,
    /// Whether it can close readiness.
    critical: bool,
    /// How long the last look took.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    /// When the last look ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Moment>,
    /// Further facts.
    metadata: Cow<'a, Metadata>,
    /// All replicas share it, so it cannot close readiness.
    #[serde(skip_serializing_if = "is_false")]
    shared: bool,
    /// The last result is too old to count.
    #[serde(skip_serializing_if = "is_false")]
    stale: bool,
    /// `false` when it was switched off by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// The word was set by hand.
    #[serde(skip_serializing_if = "is_false")]
    forced: bool,
    /// For how long what was done by hand still holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Component {
    /// Everything that is known of it.
    pub fn document(&self) -> ComponentDocument<'_> {
        self.document_in(Case::Lower)
    }

    fn document_in(&self, case: Case) -> ComponentDocument<'_> {
        let until = self.operated.and_then(Operated::until);
        ComponentDocument {
            name: &self.name,
            kind: self.kind,
            status: Word::new(self.status, case),
            passes: self.state.passes(),
            message: &self.message,
            critical: self.weight == Weight::Critical,
            duration_ms: Some(milliseconds(self)),
            checked_at: self.checked_at.map(Moment),
            metadata: Cow::Borrowed(&self.metadata),
            shared: self.weight == Weight::Shared,
            stale: self.stale,
            enabled: matches!(self.operated, Some(Operated::Disabled { .. })).then_some(false),
            forced: matches!(self.operated, Some(Operated::Forced { .. })),
            seconds_left: until
                .map(|until| until.saturating_duration_since(clock::now()).as_secs()),
        }
    }
}

impl<'a> Document<'a> {
    pub(super) fn new(scene: &'a Scene<'_>) -> Self {
        let snapshot = scene.snapshot;
        let (detailed, summary) = (
            scene.ask.view == View::Detailed,
            scene.ask.view == View::Summary,
        );
        let facts = detailed || summary;
        Self {
            status: scene.status_word(),
            service: &snapshot.service,
            checked_at: scene.now(),
            message: scene.reason(),
            state: facts.then_some(snapshot.state),
            uptime_seconds: facts.then(|| scene.uptime()),
            verdict: facts.then(|| snapshot.verdict().word()),
            counts: summary.then(|| Counts::new(scene)),
            degraded_features: summary.then(|| degraded_features(scene)),
            features: summary.then(|| snapshot.features.degraded()),
            startup: summary.then_some(Startup {
                started_at: Moment(snapshot.started_at),
                duration_ms: snapshot.startup_ms,
            }),
            version: snapshot.version.as_deref().filter(|_| detailed),
            components: scene.components(scene.shows_components()).map(|checks| {
                let checks = checks.map(|one| one.document_in(scene.ask.case));
                app(scene).into_iter().chain(checks).collect()
            }),
        }
    }
}

/// The app itself, which needs no check to be looked at.
fn app<'a>(scene: &'a Scene<'_>) -> Option<ComponentDocument<'a>> {
    if !scene.shows_components() || scene.ask.component.is_some() {
        return None;
    }
    let (status, message) = match &scene.snapshot.gate {
        Gate::Open => (Status::Healthy, "ready"),
        Gate::Closed(reason) => (Status::Unhealthy, reason.as_str()),
    };
    let instances = json!(scene.snapshot.instances);
    Some(ComponentDocument {
        name: "app",
        kind: "app",
        status: scene.word(status),
        passes: scene.snapshot.gate == Gate::Open,
        message,
        critical: true,
        duration_ms: None,
        checked_at: None,
        metadata: Cow::Owned(Metadata::from_iter([("instances".to_owned(), instances)])),
        shared: false,
        stale: false,
        enabled: None,
        forced: false,
        seconds_left: None,
    })
}

impl Counts {
    fn new(scene: &Scene<'_>) -> Self {
        let count = |status| {
            let components = scene.snapshot.report.components.iter();
            components
                .filter(|one| one.counts() && one.status == status)
                .count()
        };
        Self {
            healthy: count(Status::Healthy),
            degraded: count(Status::Degraded),
            unhealthy: count(Status::Unhealthy),
        }
    }
}

fn degraded_features(scene: &Scene<'_>) -> Vec<String> {
    let components = scene.snapshot.report.components.iter();
    let checked = components.filter(|one| one.kind == "feature" && one.status != Status::Healthy);
    let mut names: Vec<String> = checked.map(|one| one.name.clone()).collect();
    for feature in scene.snapshot.features.degraded() {
        if !names.contains(&feature.name) {
            names.push(feature.name);
        }
    }
    names
}
