//! Flags as documents: for the admin API, and for the app's file.

use schemars::JsonSchema;
use seaworthy_core::flag::{By, Switch};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::flags::Settled;

/// All flags, as `/-/flags` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FeatureFlagsDocument {
    /// The flags, sorted by name.
    pub flags: Vec<FeatureFlag>,
}

/// One flag.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FeatureFlag {
    /// Its name.
    pub name: String,
    /// For whom it is on: `true`, `false` or a percentage.
    pub value: Switch,
    /// What decides who belongs to a percentage.
    pub by: By,
    /// The variable that said it, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Whether it is on for the key that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
}

impl FeatureFlag {
    pub(super) fn new(name: &str, settled: Settled) -> Self {
        Self {
            name: name.to_owned(),
            value: settled.switch,
            by: settled.by,
            env: settled.env,
            on: None,
        }
    }
}

/// What the app's file holds: each name with `true`, `false` or a percentage.
pub(super) fn of_file(flags: &[FeatureFlag]) -> String {
    let entry = |flag: &FeatureFlag| {
        let value = match flag.value {
            Switch::Off => Value::Bool(false),
            Switch::On => Value::Bool(true),
            Switch::Share(share) => Value::String(share.to_string()),
        };
        (flag.name.clone(), value)
    };
    let entries: Map<String, Value> = flags.iter().map(entry).collect();
    format!("{:#}\n", Value::Object(entries))
}
