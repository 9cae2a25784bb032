//! Whether a variable has to be there.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Whether a variable has to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Required {
    /// It may be missing.
    #[default]
    No,
    /// It is told when it is missing, and everything goes on.
    Warn,
    /// Nothing starts without it.
    Yes,
}

impl Serialize for Required {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::No => serializer.serialize_bool(false),
            Self::Warn => serializer.serialize_str("warn"),
            Self::Yes => serializer.serialize_bool(true),
        }
    }
}

impl<'de> Deserialize<'de> for Required {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Required;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or `warn`")
            }

            fn visit_bool<E: de::Error>(self, required: bool) -> Result<Required, E> {
                Ok(if required {
                    Required::Yes
                } else {
                    Required::No
                })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Required, E> {
                match word {
                    "warn" => Ok(Required::Warn),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Required {
    fn schema_name() -> Cow<'static, str> {
        "Required".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "boolean" },
                { "type": "string", "const": "warn", "description": "It is told when it is missing, and everything goes on." },
            ],
        })
    }
}
