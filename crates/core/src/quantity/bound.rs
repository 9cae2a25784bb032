//! A limit that can be switched off with the word `none`.
//!
//! A default limit needs an off switch that survives merging, where an absent key or an empty value means "as before".

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value, or `none` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Bound<T> {
    /// No limit.
    #[default]
    None,
    /// The limit.
    At(T),
}

impl<T: Copy> Bound<T> {
    /// Gives the limit, if there is one.
    #[must_use]
    pub const fn get(self) -> Option<T> {
        match self {
            Self::None => None,
            Self::At(value) => Some(value),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::At(value) => value.fmt(f),
        }
    }
}

impl<T: Serialize> Serialize for Bound<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::At(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bound<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Bound<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity or `none`")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                T::deserialize(de::value::U64Deserializer::new(number)).map(Bound::At)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "none" {
                    return Ok(Bound::None);
                }
                T::deserialize(de::value::StrDeserializer::new(text)).map(Bound::At)
            }
        }

        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Bound<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrNone", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [generator.subschema_for::<T>(), { "type": "string", "const": "none", "description": "No limit." }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Duration, Size};
    use super::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, StrDeserializer, U64Deserializer};

    #[test]
    fn reads_a_quantity_or_none() {
        let text =
            |text: &'static str| -> StrDeserializer<'static, Error> { text.into_deserializer() };
        let number: U64Deserializer<Error> = 512_u64.into_deserializer();
        assert_eq!(
            Bound::<Duration>::deserialize(text("none")).unwrap().get(),
            None
        );
        assert_eq!(
            Bound::<Duration>::deserialize(text("5s")).unwrap(),
            Bound::At(Duration::from_secs(5))
        );
        assert_eq!(
            Bound::<Size>::deserialize(number).unwrap(),
            Bound::At(Size(512))
        );
        assert!(
            Bound::<Duration>::deserialize(text("never"))
                .unwrap_err()
                .to_string()
                .contains("not a duration")
        );
    }
}
