//! What is published.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map as JsonMap, Value as Json};

use crate::path::{Path, Segment};

/// The only format that is read.
pub const FORMAT: &str = "seaworthy.registry.v1";
/// No record may be longer, in bytes.
pub const MOST: usize = 1 << 20;

/// What an environment is to have from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Always `seaworthy.registry.v1`.
    #[schemars(extend("const" = "seaworthy.registry.v1"))]
    pub format: String,
    /// The environment that it is for. Others do not take it.
    #[schemars(length(min = 1, max = 128))]
    pub environment: String,
    /// Grows with each record of the environment. The first sound record of a number counts, and none with a lower one after it.
    #[schemars(range(min = 1))]
    pub sequence: u64,
    /// Tells two records of the same number apart.
    pub id: String,
    /// When it was published, as RFC 3339.
    pub at: String,
    /// Who published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the cohort has, and everybody when there is none.
    pub content: Content,
    /// The instances that have `content`; the others have `before`. Everybody has `content` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<Vec<String>>,
    /// What those have who are not in the cohort. Without it they have nothing of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Content>,
    /// How far the version has come.
    pub rollout: Rollout,
}

/// Settings under a number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The version.
    pub version: u64,
    /// The settings by their address, as in `{"log.level": "debug"}`: all that the registry says, not only what is new.
    pub set: BTreeMap<String, Json>,
}

/// How far a version has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The version that this is about. Where it was taken back, `content` is an earlier one.
    pub version: u64,
    /// Whether it is under way, complete, or taken back.
    pub state: State,
    /// The stages, as in `["1", "25%", "100%"]`.
    #[serde(default)]
    pub stages: Vec<String>,
    /// How many of them have begun.
    #[serde(default)]
    pub begun: usize,
}

/// Whether a version is under way, complete, or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A cohort has it.
    Rolling,
    /// Everybody has it.
    Complete,
    /// It did harm, and the one before holds again.
    Reverted,
    /// Somebody stopped it, and the one before holds again.
    Aborted,
}

impl State {
    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Complete => "complete",
            Self::Reverted => "reverted",
            Self::Aborted => "aborted",
        }
    }
}

impl Record {
    /// What this instance is to have; nothing when the registry says nothing for it yet.
    #[must_use]
    pub fn content_of(&self, instance: &str) -> Option<&Content> {
        match &self.cohort {
            Some(cohort) if !cohort.iter().any(|one| one == instance) => self.before.as_ref(),
            _ => Some(&self.content),
        }
    }
}

impl Content {
    /// As a tree, like the one of a file.
    #[must_use]
    pub fn tree(&self) -> Json {
        let mut root = Json::Null;
        for (path, value) in &self.set {
            put(&mut root, Path::from(path.as_str()).segments(), value);
        }
        root
    }
}

/// Puts a value below keys; mappings on the way are made.
fn put(place: &mut Json, path: &[Segment], value: &Json) {
    let Some((Segment::Key(key), rest)) = path.split_first() else {
        *place = value.clone();
        return;
    };
    if !place.is_object() {
        *place = Json::Object(JsonMap::new());
    }
    if let Json::Object(object) = place {
        put(object.entry(key.clone()).or_insert(Json::Null), rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_by_address_become_a_tree() {
        let set = [
            ("log.level", json!("debug")),
            ("limits.body", json!(5)),
            ("headers.set", json!({"X-A": "1"})),
        ];
        let set = set.map(|(path, value)| (path.to_owned(), value));
        let content = Content {
            version: 2,
            set: BTreeMap::from(set),
        };
        assert_eq!(
            content.tree(),
            json!({"headers": {"set": {"X-A": "1"}}, "limits": {"body": 5}, "log": {"level": "debug"}})
        );
    }
}
