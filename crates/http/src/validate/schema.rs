//! JSON Schema, compiled once for each route.
//!
//! Patterns run on an engine whose time is linear in the text; one that needs more (look-around, back references) is an
//! error when the schema is read. References lead within the document only: nothing is fetched.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use super::Violation;

/// A compiled pattern may take so much memory.
const PATTERN: usize = 1 << 20;

/// A document that is no schema, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchema(pub String);

/// A compiled schema.
pub struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// Where a schema is.
#[derive(Clone, Debug)]
pub enum Source {
    /// Here.
    Fixed(Arc<Schema>),
    /// In the app's own description, once somebody has read it. Until then nothing is held against it.
    Described(Arc<ArcSwapOption<Schema>>),
}

impl Source {
    pub(super) fn check(&self, body: &Value) -> Result<(), Violation> {
        match self {
            Self::Fixed(schema) => schema.check(body),
            Self::Described(schema) => {
                let schema = schema.load();
                schema.as_ref().map_or(Ok(()), |schema| schema.check(body))
            }
        }
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(document: &Value) -> Result<Self, BadSchema> {
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN)
            .dfa_size_limit(PATTERN);
        let built = jsonschema::options()
            .offline()
            .with_pattern_options(patterns)
            .build(document);
        let bad = |error: ValidationError<'_>| BadSchema(super::echo::cut(&error.to_string()));
        built.map(Self).map_err(bad)
    }

    /// Holds `body` against it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn check(&self, body: &Value) -> Result<(), Violation> {
        self.0.validate(body).map_err(|error| violation(&error))
    }
}

fn violation(error: &ValidationError<'_>) -> Violation {
    let mut field = String::new();
    let mut index = None;
    for segment in error.instance_path() {
        match segment {
            LocationSegment::Index(at) => {
                field.push_str(&format!("[{at}]"));
                index = Some(at);
            }
            LocationSegment::Property(name) => {
                let dot = if field.is_empty() { "" } else { "." };
                field.push_str(&format!("{dot}{name}"));
            }
        }
    }
    let value = error.instance().clone().into_owned();
    if let ValidationErrorKind::Required { property } = error.kind() {
        let dot = if field.is_empty() { "" } else { "." };
        let name = property.as_str().unwrap_or_default();
        field = format!("{field}{dot}{name}");
        return Violation {
            problem: format!("{field} is missing"),
            field,
            index,
            value: Box::default(),
        };
    }
    // Some kinds name the fields that they found, which a client chose; what is said is cut, and the value is not in it.
    let what = match error.kind() {
        ValidationErrorKind::AdditionalProperties { .. } => {
            "it has a field that is not known".to_owned()
        }
        _ => error.masked_with("it").to_string(),
    };
    let place = if field.is_empty() { "the body" } else { &field };
    Violation {
        problem: format!("{place}: {what}"),
        field,
        index,
        value: Box::new(value),
    }
}
