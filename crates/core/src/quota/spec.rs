//! A quota as people write it: `100/min`, `unlimited`, or a capacity with a refill.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Quota, QuotaError};
use crate::quantity::Rate;

/// Parts of a token per second that a refill is counted in: a refill may be written with six decimals.
const PARTS: u64 = 1_000_000;

/// A quota as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spec {
    /// No limit.
    Unlimited,
    /// `100/min`: a bucket of 100 that fills in a minute.
    Rate(Rate),
    /// `{capacity: 100, refill_per_sec: 1.667}`.
    Bucket {
        /// How many tokens a full bucket holds.
        capacity: u64,
        /// Millionths of a token that come back in a second.
        refill_micros: u64,
    },
}

impl Spec {
    /// The quota, or `None` for no limit. With `at_once` all of a rate's tokens come back at the end of its time.
    ///
    /// # Errors
    /// When the numbers are out of reach.
    pub fn quota(&self, at_once: bool) -> Result<Option<Quota>, QuotaError> {
        let second = std::time::Duration::from_secs(1);
        match *self {
            Self::Unlimited => Ok(None),
            Self::Rate(rate) if at_once => Quota::interval(rate.count, rate.per.get()).map(Some),
            Self::Rate(rate) => Quota::continuous(rate.count, rate.count, rate.per.get()).map(Some),
            Self::Bucket {
                capacity,
                refill_micros,
            } if at_once && capacity > 0 && refill_micros > 0 => {
                let nanos = u128::from(capacity) * u128::from(PARTS) * second.as_nanos();
                let nanos = nanos.div_ceil(u128::from(refill_micros));
                let per = u64::try_from(nanos).map_err(|_| QuotaError::TooSlow)?;
                Quota::interval(capacity, std::time::Duration::from_nanos(per)).map(Some)
            }
            Self::Bucket {
                capacity,
                refill_micros,
            } => {
                let per = second * u32::try_from(PARTS).unwrap_or(u32::MAX);
                Quota::continuous(capacity, refill_micros, per).map(Some)
            }
        }
    }
}

impl From<Rate> for Spec {
    fn from(rate: Rate) -> Self {
        Self::Rate(rate)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Rate(rate) => rate.fmt(f),
            Self::Bucket {
                capacity,
                refill_micros,
            } => write!(f, "{capacity}, {}/s", per_second(*refill_micros)),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn per_second(micros: u64) -> f64 {
    micros as f64 / PARTS as f64
}

impl Serialize for Spec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited | Self::Rate(_) => serializer.collect_str(self),
            Self::Bucket {
                capacity,
                refill_micros,
            } => {
                let mut bucket = serializer.serialize_struct("Bucket", 2)?;
                bucket.serialize_field("capacity", capacity)?;
                bucket.serialize_field("refill_per_sec", &per_second(*refill_micros))?;
                bucket.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Spec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`100/min`, `unlimited`, or `{capacity: 100, refill_per_sec: 1.667}`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Spec, E> {
                if text.trim() == "unlimited" {
                    return Ok(Spec::Unlimited);
                }
                text.parse().map(Spec::Rate).map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Spec, A::Error> {
                Bucket::deserialize(de::value::MapAccessDeserializer::new(map)).map(|bucket| {
                    Spec::Bucket {
                        capacity: bucket.capacity,
                        refill_micros: bucket.refill_per_sec.0,
                    }
                })
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A bucket written out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Bucket {
    /// How many tokens a full bucket holds.
    capacity: u64,
    /// How many come back in a second; 0 for none, ever. Six decimals count.
    refill_per_sec: PerSecond,
}

/// Tokens in a second, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PerSecond(pub u64);

impl Serialize for PerSecond {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(per_second(self.0))
    }
}

impl JsonSchema for PerSecond {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PerSecond".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "title": "number",
            "description": "How many in a second, with at most six decimals.",
            "minimum": 0,
            "maximum": 1_000_000_000,
        })
    }
}

impl<'de> Deserialize<'de> for PerSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=1e9).contains(&number) {
            return Err(de::Error::custom(
                "a refill is between 0 and 1000000000 tokens a second",
            ));
        }
        // Between 0 and 1e15, so nothing is cut off.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let micros = (number * PARTS as f64).round() as u64;
        if micros == 0 && number > 0.0 {
            return Err(de::Error::custom(
                "less than a millionth of a token a second: write 0 for none",
            ));
        }
        Ok(Self(micros))
    }
}

impl JsonSchema for Spec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quota".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "rate, capacity and refill, or `unlimited`",
            "description": "How many requests: a rate such as `100/min`, `{capacity, refill_per_sec}`, or `unlimited`.",
            "anyOf": [
                { "type": "string", "const": "unlimited", "description": "No limit." },
                generator.subschema_for::<Rate>(),
                generator.subschema_for::<Bucket>(),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, MapDeserializer, StrDeserializer};

    fn text(text: &'static str) -> Result<Spec, Error> {
        let deserializer: StrDeserializer<'static, Error> = text.into_deserializer();
        Spec::deserialize(deserializer)
    }

    fn bucket(capacity: f64, refill: f64) -> Result<Spec, Error> {
        let fields = [("capacity", capacity), ("refill_per_sec", refill)];
        // Numbers of both kinds, as YAML has them.
        let fields = fields
            .into_iter()
            .map(|(key, number)| (key, Number(number)));
        Spec::deserialize(MapDeserializer::<_, Error>::new(fields))
    }

    struct Number(f64);

    impl<'de> IntoDeserializer<'de, Error> for Number {
        type Deserializer = Self;
        fn into_deserializer(self) -> Self {
            self
        }
    }

    impl<'de> Deserializer<'de> for Number {
        type Error = Error;

        fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.0.fract() == 0.0 && self.0 >= 0.0 {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                visitor.visit_u64(self.0 as u64)
            } else {
                visitor.visit_f64(self.0)
            }
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    #[test]
    fn a_rate_is_short_for_a_bucket_that_fills_in_its_time() {
        let quota = text("100/min").unwrap().quota(false).unwrap().unwrap();
        assert_eq!(quota.capacity(), 100);
        assert_eq!(quota.full_time(), Duration::from_secs(60));
        assert_eq!(text("unlimited").unwrap().quota(false), Ok(None));
        assert!(text("lots").unwrap_err().to_string().contains("not a rate"));
    }

    #[test]
    fn a_bucket_has_a_capacity_and_a_refill() {
        let spec = bucket(100.0, 1.667).unwrap();
        assert_eq!(spec.to_string(), "100, 1.667/s");
        let quota = spec.quota(false).unwrap().unwrap();
        assert!((quota.per_second() - 1.667).abs() < 1e-5);
        let at_once = spec.quota(true).unwrap().unwrap();
        assert!((at_once.full_time().as_secs_f64() - 59.988).abs() < 0.001);
        assert!(bucket(5.0, -1.0).is_err());
        assert!(bucket(5.0, f64::NAN).is_err());
        assert!(bucket(5.0, 1e-9).is_err());
        assert!(bucket(1.5, 1.0).is_err());
    }

    #[test]
    fn nothing_of_zero_divides() {
        for (capacity, refill) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)] {
            for at_once in [false, true] {
                let quota = bucket(capacity, refill).unwrap().quota(at_once);
                let quota = quota.unwrap().unwrap();
                assert_eq!(quota.full_time(), Duration::MAX);
                assert_eq!(quota.per_second(), 0.0);
            }
        }
        assert_eq!(
            text("0/min")
                .unwrap()
                .quota(false)
                .unwrap()
                .unwrap()
                .capacity(),
            0
        );
    }
}
