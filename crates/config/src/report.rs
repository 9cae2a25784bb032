//! What became of a wish to take a configuration in anew, as it is answered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use crate::change::Reloaded;

/// What became of a wish.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// `ok` when the configuration holds now, or did before; `error` when nothing was changed.
    pub status: &'static str,
    /// The configuration that holds now, counted from the start of the process.
    pub generation: u64,
    /// What was looked at, by name: the service itself, and each of its documents.
    pub results: BTreeMap<String, ResultDocument>,
    /// Settings that differ and hold only after a restart.
    pub requires_restart: Vec<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// Why nothing was changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Json>,
}

/// What became of one part.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ResultDocument {
    /// Whether it is different from now on.
    pub changed: bool,
    /// Each setting that differs: `path`, `from`, `to` and `requires_restart`. Secrets are masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Json>,
    /// Parts of it by name, such as the documents of a set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Json>,
}

impl Report {
    /// Whether the wish was granted.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }

    /// The status code of an answer that carries it.
    #[must_use]
    pub fn code(&self) -> u16 {
        if self.is_ok() { 200 } else { 422 }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl ResultDocument {
    /// What of a configuration is different.
    #[must_use]
    pub fn of<T>(reloaded: &Reloaded<T>) -> Self {
        let changes = reloaded.changes.iter();
        Self {
            changed: reloaded.changes_anything(),
            changes: changes
                .filter_map(|one| serde_json::to_value(one).ok())
                .collect(),
            ..Self::default()
        }
    }
}
