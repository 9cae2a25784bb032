//! A share of a whole: `20%` or `0.2`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ParseError;

/// A share between nothing and all, exact to a ten-thousandth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

/// All of it, in the units that are counted.
const ALL: u32 = 1_000_000;

impl Share {
    /// So many percent, at most all.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        let millionths = percent.saturating_mul(ALL / 100);
        Self(if millionths > ALL { ALL } else { millionths })
    }

    /// As a fraction of 1.
    #[must_use]
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(ALL)
    }

    /// In millionths of the whole.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    fn of(fraction: f64) -> Result<Self, ParseError> {
        if !(0.0..=1.0).contains(&fraction) {
            return Err(ParseError::new(
                "a share lies between 0 and 1, or 0% and 100%",
            ));
        }
        // Between 0 and a million.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let millionths = (fraction * f64::from(ALL)).round() as u32;
        Ok(Self(millionths))
    }
}

impl FromStr for Share {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (number, whole) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text, 1.0),
        };
        let number: f64 = number
            .parse()
            .map_err(|_| ParseError::new(format!("`{text}` is no share; write `20%` or `0.2`")))?;
        Self::of(number / whole)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 1e4)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share such as `20%` or `0.2`")
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Share, E> {
                Share::of(number).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Share, E> {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                Share::of(f64::from(number)).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Share, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share, such as `20%` or `0.2`.",
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+([.][0-9]+)?%?$" },
                { "type": "number", "minimum": 0, "maximum": 1 },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_percent_and_fractions() {
        assert_eq!("20%".parse(), Ok(Share::percent(20)));
        assert_eq!("0.2".parse(), Ok(Share::percent(20)));
        assert_eq!("1".parse(), Ok(Share::percent(100)));
        assert_eq!(Share::percent(50).to_string(), "50%");
        for wrong in ["120%", "1.5", "-1%", "much", "NaN", "%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(millionths in 0..=ALL) {
            let share = Share(millionths);
            prop_assert_eq!(share.to_string().parse(), Ok(share));
        }
    }
}
