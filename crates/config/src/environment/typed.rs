//! Texts into values.

use serde::{Serialize, Serializer};

use super::kind::Kind;
use super::shown::{masked, quoted};
use crate::secret::Secret;

/// The value of a variable.
#[derive(Debug, Clone, PartialEq)]
pub enum Typed {
    /// A whole number.
    Int(i64),
    /// A number, which is finite.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A text.
    Str(String),
    /// A text that is never shown.
    Secret(Secret),
    /// Several of them.
    List(Vec<Typed>),
}

impl Typed {
    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// Yes or no, if it is that.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one; that of a secret as well.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(value) => Some(value),
            Self::Secret(value) => Some(value.expose()),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Reads one value that is no list. The error says what was expected, and what was found unless that is secret.
    pub(super) fn read(kind: Kind, text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let read = match kind {
            Kind::Int => trimmed.parse().ok().map(Self::Int),
            Kind::Float => trimmed
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Self::Float),
            Kind::Bool => boolean(trimmed).map(Self::Bool),
            Kind::Secret => Some(Self::Secret(Secret::new(text))),
            _ => Some(Self::Str(text.to_owned())),
        };
        read.ok_or_else(|| format!("expected {kind}, got {}", quoted(text)))
    }
}

fn boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "1", "yes", "on"]) {
        Some(true)
    } else if is(["false", "0", "no", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// As a report shows it: secrets and passwords of URLs masked.
impl Serialize for Typed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Str(value) => serializer.serialize_str(&masked(value)),
            Self::Secret(value) => value.serialize(serializer),
            Self::List(items) => serializer.collect_seq(items),
        }
    }
}
