//! For whom a flag is on.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::quantity::Share;

/// For whom a flag is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Switch {
    /// For nobody.
    #[default]
    Off,
    /// For everybody.
    On,
    /// For this share of those who ask.
    Share(Share),
}

/// A text that is neither a word for yes or no nor a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no flag: write `true`, `false` or a percentage such as `25%`")]
pub struct BadSwitch(String);

impl Switch {
    /// Whether it takes the one who stands at `place`, below a million.
    #[must_use]
    pub fn takes(self, place: u32) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::Share(share) => place < share.millionths(),
        }
    }
}

impl FromStr for Switch {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let text = text.trim();
        let bad = || BadSwitch(text.chars().take(40).collect());
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Self::On),
            "false" | "0" | "no" | "off" => Ok(Self::Off),
            // Without its sign nobody knows whether 1 is all or a hundredth.
            share if share.ends_with('%') => share.parse().map(Self::Share).map_err(|_| bad()),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("false"),
            Self::On => f.write_str("true"),
            Self::Share(share) => share.fmt(f),
        }
    }
}

impl Serialize for Switch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On => serializer.serialize_bool(true),
            Self::Share(share) => share.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Switch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a percentage such as `25%`")
            }

            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Switch, E> {
                Ok(if on { Switch::On } else { Switch::Off })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Switch, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Switch {
    fn schema_name() -> Cow<'static, str> {
        "Switch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`true`, `false` or a percentage such as `25%`.",
            "anyOf": [
                { "type": "boolean" },
                { "type": "string", "pattern": "^[0-9]+([.][0-9]+)? *%$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_percentages_are_read_and_bare_numbers_are_not() {
        for (text, switch) in [
            ("TRUE", Switch::On),
            (" off ", Switch::Off),
            ("1", Switch::On),
            ("25%", Switch::Share(Share::percent(25))),
        ] {
            assert_eq!(text.parse(), Ok(switch), "{text}");
        }
        for bad in ["25", "0.5", "", "%", "101%", "-1%", "maybe", "NaN%"] {
            assert!(bad.parse::<Switch>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall_and_what_it_prints_is_read_again(text in "\\PC{0,12}") {
            if let Ok(switch) = text.parse::<Switch>() {
                prop_assert_eq!(switch.to_string().parse(), Ok(switch));
            }
        }
    }
}
