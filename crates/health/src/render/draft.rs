//! `application/health+json`, as in draft-inadarei-api-health-check-06. The draft has expired; tools that ask for it remain.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_core::health::Status;
use serde::Serialize;

use super::Scene;
use super::word::{Moment, milliseconds};
use crate::Component;

/// The words of the draft.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    Pass,
    Warn,
    Fail,
}

impl From<Status> for Word {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Pass,
            Status::Degraded => Self::Warn,
            Status::Unhealthy => Self::Fail,
        }
    }
}

/// The health of a service, as `application/health+json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    /// The word for the whole.
    status: Word,
    /// The name of the service.
    service_id: &'a str,
    /// The version of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    release_id: Option<&'a str>,
    /// Why the word is not `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// What it depends on, as `NAME:responseTime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<BTreeMap<String, [Check<'a>; 1]>>,
}

/// A component.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Check<'a> {
    /// What kind of check looks at it.
    component_type: &'static str,
    /// How long the last look took.
    observed_value: f64,
    /// Its unit.
    observed_unit: &'static str,
    /// The word for it.
    status: Word,
    /// When the last look ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Moment>,
    /// One sentence, when the word is not `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

impl<'a> Document<'a> {
    pub(super) fn new(scene: &'a Scene<'_>) -> Self {
        // The draft ties words to codes: what warns has to be answered with 2xx.
        let status = match (scene.passes(), scene.status()) {
            (false, _) => Status::Unhealthy,
            (true, Status::Unhealthy) => Status::Degraded,
            (true, status) => status,
        };
        Self {
            status: status.into(),
            service_id: &scene.snapshot.service,
            release_id: scene.snapshot.version.as_deref(),
            output: scene.reason(),
            checks: scene.components(scene.shows_components()).map(|all| {
                all.map(|one| (format!("{}:responseTime", one.name), [Check::new(one)]))
                    .collect()
            }),
        }
    }
}

impl<'a> Check<'a> {
    fn new(one: &'a Component) -> Self {
        Self {
            component_type: one.kind,
            observed_value: milliseconds(one),
            observed_unit: "ms",
            status: one.status.into(),
            time: one.checked_at.map(Moment),
            output: (one.status != Status::Healthy).then_some(&one.message),
        }
    }
}
