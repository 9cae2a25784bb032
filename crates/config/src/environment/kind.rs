//! What a variable holds.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a variable holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A whole number.
    #[serde(rename = "int")]
    Int,
    /// A number.
    #[serde(rename = "float")]
    Float,
    /// `true`, `1`, `yes` or `on`; `false`, `0`, `no` or `off`.
    #[serde(rename = "bool")]
    Bool,
    /// A text.
    #[default]
    #[serde(rename = "str")]
    Str,
    /// A text that is never shown.
    #[serde(rename = "secret")]
    Secret,
    /// Texts with commas between them; the same as `list<str>`.
    #[serde(rename = "list")]
    List,
    /// Texts with commas between them.
    #[serde(rename = "list<str>")]
    Strs,
    /// Whole numbers with commas between them.
    #[serde(rename = "list<int>")]
    Ints,
    /// Numbers with commas between them.
    #[serde(rename = "list<float>")]
    Floats,
    /// Words for yes and no with commas between them.
    #[serde(rename = "list<bool>")]
    Bools,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Str => "str",
            Self::Secret => "secret",
            Self::List => "list",
            Self::Strs => "list<str>",
            Self::Ints => "list<int>",
            Self::Floats => "list<float>",
            Self::Bools => "list<bool>",
        }
    }

    /// What the items of a list are; nothing for what is no list.
    #[must_use]
    pub const fn item(self) -> Option<Self> {
        match self {
            Self::List | Self::Strs => Some(Self::Str),
            Self::Ints => Some(Self::Int),
            Self::Floats => Some(Self::Float),
            Self::Bools => Some(Self::Bool),
            _ => None,
        }
    }

    /// What one value of it is: the item of a list, else itself.
    pub(super) const fn single(self) -> Self {
        match self.item() {
            Some(item) => item,
            None => self,
        }
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(self.single(), Self::Int | Self::Float)
    }

    pub(super) const fn is_text(self) -> bool {
        matches!(self.single(), Self::Str | Self::Secret)
    }

    /// Whether nothing at all is a value: an empty text, an empty list.
    pub(super) const fn may_be_empty(self) -> bool {
        matches!(self, Self::Str) || self.item().is_some()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
