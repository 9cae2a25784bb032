//! A length of time with its unit: `250ms`, `5s`, `1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration as Std;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ParseError;
use super::decimal::{self, Refusal};

/// Every unit in nanoseconds, the largest first: printing takes the first that divides evenly.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Longer than this is a mistake in the unit, and deadlines computed from it could overflow the clock.
const LONGEST: Std = Std::from_secs(100 * 365 * 86_400);

/// A length of time, written as `250ms`, `5s`, `15m`, `1h30m` or `1.5s`; units are `ns us ms s m h d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(pub Std);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(Std::ZERO);

    /// Makes a duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Std::from_secs(seconds))
    }

    /// Makes a duration of whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Std::from_millis(milliseconds))
    }

    /// Gives the standard library's type.
    #[must_use]
    pub const fn get(self) -> Std {
        self.0
    }

    /// Whether this is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Std> for Duration {
    fn from(value: Std) -> Self {
        Self(value)
    }
}

impl From<Duration> for Std {
    fn from(value: Duration) -> Self {
        value.0
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (unit, worth) = UNITS
            .into_iter()
            .find(|(_, worth)| nanos.is_multiple_of(u128::from(*worth)))
            .unwrap_or(("ns", 1));
        write!(f, "{}{unit}", nanos / u128::from(worth))
    }
}

impl FromStr for Duration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let shown = decimal::excerpt(text);
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        let mut nanos = 0_u128;
        loop {
            let (value, after) =
                decimal::term(rest, &UNITS, false).map_err(|refusal| explain(&shown, &refusal))?;
            nanos = nanos.saturating_add(value);
            if nanos > LONGEST.as_nanos() {
                return Err(explain(&shown, &Refusal::TooLarge));
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let nanos = u64::try_from(nanos).map_err(|_| explain(&shown, &Refusal::TooLarge))?;
        Ok(Self(Std::from_nanos(nanos)))
    }
}

fn explain(text: &str, refusal: &Refusal) -> ParseError {
    ParseError::new(match refusal {
        Refusal::NoNumber => format!(
            "`{text}` is not a duration: write a number and a unit, such as `250ms`, `5s` or `15m`"
        ),
        Refusal::Unit(unit) if unit.is_empty() => {
            format!(
                "`{text}` lacks a unit: write `{text}s` for seconds, `{text}ms` for milliseconds or `{text}m` for minutes"
            )
        }
        Refusal::Unit(unit) => {
            let unit = decimal::excerpt(unit);
            format!("`{text}` has no unit of time: `{unit}` is none of ns, us, ms, s, m, h, d")
        }
        Refusal::TooFine => format!("`{text}` is finer than a nanosecond"),
        Refusal::TooLarge => format!("`{text}` is longer than 100 years"),
    })
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "duration",
            "description": "A length of time with its unit, such as `250ms`, `5s`, `15m` or `1h30m`.",
            "pattern": r"^\s*(0|([0-9]+(\.[0-9]+)? *(ns|us|ms|s|m|h|d))+)\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("250ms", 250),
            ("5s", 5_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("2d", 172_800_000),
            ("0", 0),
            ("0s", 0),
            (" 10 s ", 10_000),
        ] {
            assert_eq!(
                text.parse::<Duration>().unwrap(),
                Duration::from_millis(millis),
                "{text}"
            );
        }
    }

    #[test]
    fn prints_the_largest_unit_that_is_exact() {
        for (text, printed) in [
            ("1.5s", "1500ms"),
            ("60s", "1m"),
            ("90s", "90s"),
            ("0ms", "0s"),
            ("24h", "1d"),
        ] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn says_what_is_wrong_and_how_to_mend_it() {
        let message = |text: &str| text.parse::<Duration>().unwrap_err().to_string();
        assert!(
            message("5").contains("lacks a unit: write `5s`"),
            "{}",
            message("5")
        );
        assert!(
            message("5 minutes").contains("`minutes` is none of"),
            "{}",
            message("5 minutes")
        );
        assert!(
            message("5M").contains("`M` is none of"),
            "{}",
            message("5M")
        );
        assert!(message("").contains("not a duration"));
        assert!(message("-5s").contains("not a duration"));
        assert!(message("1.s").contains("not a duration"));
        assert!(message("0.1ns").contains("finer"));
        assert!(message("99999999999999999999999999d").contains("longer than 100 years"));
        assert!(
            message(&"9".repeat(100_000)).len() < 400,
            "a huge value must not make a huge message"
        );
    }

    proptest! {
        #[test]
        fn printing_round_trips(nanos in 0_u64..=3_153_600_000_000_000_000) {
            let duration = Duration(Std::from_nanos(nanos));
            prop_assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            if let Ok(duration) = text.parse::<Duration>() {
                prop_assert!(duration.get() <= LONGEST);
            }
        }
    }
}
