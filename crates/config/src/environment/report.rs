//! What was found in an environment.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use serde_json::{Value as Json, json};

use super::kind::Kind;
use super::required::Required;
use super::shown::masked;
use super::typed::Typed;
use crate::secret::MASK;

/// Where the value of a variable came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// It has none.
    #[default]
    Unset,
    /// It is the default.
    Default,
    /// It was set.
    Set,
}

/// One variable as it was found.
///
/// As JSON it has the keys `key`, `value`, `type`, `required`, `default`, `valid` and `errors`, with secrets masked.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it has to be there.
    pub required: Required,
    /// What holds where it is not set.
    pub default: Option<Json>,
    /// The heading that it is shown under.
    pub group: Option<String>,
    /// Where its value came from.
    pub origin: Origin,
    /// Its value; nothing where there is none, or none that can be read.
    pub value: Option<Typed>,
    /// All that is wrong, each with the name of the variable.
    pub errors: Vec<String>,
    /// What can be used, but was probably not meant.
    pub warnings: Vec<String>,
    /// Whether a service must not start with it.
    pub refuses: bool,
    pub(super) raw: Option<String>,
}

impl Found {
    /// Whether it is as expected.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// The value as it may be shown: typed, or the text where it is of another type; `null` where there is none.
    #[must_use]
    pub fn shown(&self) -> Json {
        match (&self.value, &self.raw) {
            (_, Some(_)) if self.kind == Kind::Secret => json!(MASK),
            (Some(value), _) => serde_json::to_value(value).unwrap_or_default(),
            (None, Some(raw)) => json!(masked(raw)),
            (None, None) => Json::Null,
        }
    }
}

impl Found {
    /// The default as it may be shown; `null` where there is none.
    #[must_use]
    pub fn default_shown(&self) -> Json {
        match &self.default {
            Some(_) if self.kind == Kind::Secret => json!(MASK),
            Some(default) => without_passwords(default),
            None => Json::Null,
        }
    }
}

fn without_passwords(value: &Json) -> Json {
    match value {
        Json::String(text) => json!(masked(text)),
        Json::Array(items) => items.iter().map(without_passwords).collect(),
        other => other.clone(),
    }
}

impl Serialize for Found {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Found", 7)?;
        object.serialize_field("key", &self.name)?;
        object.serialize_field("value", &self.shown())?;
        object.serialize_field("type", &self.kind)?;
        object.serialize_field("required", &(self.required != Required::No))?;
        object.serialize_field("default", &self.default_shown())?;
        object.serialize_field("valid", &self.is_valid())?;
        object.serialize_field("errors", &self.errors)?;
        object.end()
    }
}

/// All variables as they were found, sorted by name.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Report(pub(super) Vec<Found>);

impl Report {
    /// The variables.
    pub fn iter(&self) -> impl Iterator<Item = &Found> {
        self.0.iter()
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Typed> {
        let found = self.0.iter().find(|found| found.name == name)?;
        found.value.as_ref()
    }

    /// All that is wrong, whether a service may start with it or not.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .flat_map(|found| &found.errors)
            .map(String::as_str)
    }

    /// Whether a service must not start with it.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.0.iter().any(|found| found.refuses)
    }

    /// The defaults that hold, as texts for the environment of the service.
    pub fn defaults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|found| match found.origin {
            Origin::Default => Some((found.name.as_str(), found.raw.as_deref()?)),
            Origin::Set | Origin::Unset => None,
        })
    }
}
