//! What the shapes are made of: words, times and lengths of time, as they are written.

use std::borrow::Cow;
use std::time::SystemTime;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use seaworthy_core::health::Status;
use serde::Serialize;

use crate::Case;
use crate::report::Component;

/// A status word in either case.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Word(&'static str);

impl Word {
    /// What a gateway says of itself as long as it answers.
    pub(super) const ALIVE: Self = Self("alive");

    pub(super) fn new(status: Status, case: Case) -> Self {
        Self(match (case, status) {
            (Case::Lower, status) => status.word(),
            (Case::Upper, Status::Healthy) => "HEALTHY",
            (Case::Upper, Status::Degraded) => "DEGRADED",
            (Case::Upper, Status::Unhealthy) => "UNHEALTHY",
        })
    }
}

impl JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "enum": ["healthy", "degraded", "unhealthy", "HEALTHY", "DEGRADED", "UNHEALTHY"],
        })
    }
}

/// A moment, to the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(pub(super) SystemTime);

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = jiff::Timestamp::try_from(self.0).unwrap_or_default();
        serializer.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    }
}

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// How long the last run took, to the microsecond; nothing before the first.
pub(super) fn milliseconds(component: &Component) -> f64 {
    let ms = component
        .duration
        .map_or(0.0, |took| took.as_secs_f64() * 1e3);
    (ms * 1e3).round() / 1e3
}
