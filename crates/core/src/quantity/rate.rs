//! So many in so much time: `100/min`, `10/s`, `5000/1h30m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Duration, ParseError, decimal};

/// The words for one unit of time, the first of each for printing.
const PERIODS: [(&[&str], u64); 4] = [
    (&["s", "sec", "second"], 1),
    (&["min", "m", "minute"], 60),
    (&["h", "hr", "hour"], 3_600),
    (&["d", "day"], 86_400),
];

/// A number of things in a length of time, written as `100/min`, `10/s`, `5000/h` or `100/30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In how much time; never none at all.
    pub per: Duration,
}

impl Rate {
    /// So many in a minute.
    #[must_use]
    pub const fn per_minute(count: u64) -> Self {
        Self {
            count,
            per: Duration::from_secs(60),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = PERIODS
            .into_iter()
            .find(|(_, seconds)| self.per == Duration::from_secs(*seconds))
            .map(|(words, _)| words[0]);
        match word {
            Some(word) => write!(f, "{}/{word}", self.count),
            None => write!(f, "{}/{}", self.count, self.per),
        }
    }
}

impl FromStr for Rate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let shown = decimal::excerpt(text);
        let unlike = || {
            ParseError::new(format!(
                "`{shown}` is not a rate: write `100/min` or `10/s`"
            ))
        };
        let (count, period) = text.split_once('/').ok_or_else(unlike)?;
        let (count, period) = (count.trim(), period.trim());
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(unlike());
        }
        let count = count
            .parse()
            .map_err(|_| ParseError::new(format!("`{shown}` is more than 64 bits can count")))?;
        Ok(Self {
            count,
            per: time(period, &shown)?,
        })
    }
}

fn time(period: &str, shown: &str) -> Result<Duration, ParseError> {
    let word = PERIODS
        .into_iter()
        .find(|(words, _)| words.contains(&period));
    if let Some((_, seconds)) = word {
        return Ok(Duration::from_secs(seconds));
    }
    let time: Duration = period.parse().map_err(|_| {
        ParseError::new(format!(
            "`{shown}` has no time behind the slash: write `/s`, `/min`, `/h`, `/d` or a duration such as `/30s`"
        ))
    })?;
    if time.is_zero() {
        return Err(ParseError::new(format!(
            "`{shown}` is a rate over no time at all"
        )));
    }
    Ok(time)
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "rate",
            "description": "So many in so much time, such as `100/min`, `10/s` or `100/30s`.",
            "pattern": r"^\s*[0-9]+\s*/\s*[0-9a-z.]+\s*$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, count, seconds) in [
            ("100/min", 100, 60),
            ("100 / minute", 100, 60),
            ("10/s", 10, 1),
            ("5000/h", 5_000, 3_600),
            ("1/d", 1, 86_400),
            ("100/30s", 100, 30),
            ("100/1m30s", 100, 90),
            ("0/m", 0, 60),
        ] {
            let rate: Rate = text.parse().unwrap();
            let per = Duration::from_secs(seconds);
            assert_eq!(rate, Rate { count, per }, "{text}");
        }
        assert_eq!(Rate::per_minute(100).to_string(), "100/min");
    }

    #[test]
    fn refuses_with_a_reason() {
        let message = |text: &str| text.parse::<Rate>().unwrap_err().to_string();
        for text in ["100", "", "/s", "ten/s", "-1/s", "1.5/s", "+1/s"] {
            assert!(message(text).contains("not a rate"), "{text}");
        }
        assert!(message("100/fortnight").contains("behind the slash"));
        assert!(message("100/").contains("behind the slash"));
        assert!(message("100/0s").contains("no time at all"));
        assert!(message("99999999999999999999/s").contains("64 bits"));
    }

    proptest! {
        #[test]
        fn printing_round_trips(count: u64, nanos in 1_u64..3_000_000_000_000_000_000) {
            let rate = Rate { count, per: Duration(std::time::Duration::from_nanos(nanos)) };
            prop_assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            if let Ok(rate) = text.parse::<Rate>() {
                prop_assert!(!rate.per.is_zero());
            }
        }
    }
}
