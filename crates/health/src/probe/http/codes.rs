//! Status codes that are expected, such as `200`, `200-399` or `200,204`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// See the [module documentation](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(Vec<(u16, u16)>);

impl Codes {
    /// Whether `code` is one of them.
    pub fn has(&self, code: u16) -> bool {
        self.0
            .iter()
            .any(|&(first, last)| (first..=last).contains(&code))
    }
}

impl Default for Codes {
    /// 200 to 399.
    fn default() -> Self {
        Self(vec![(200, 399)])
    }
}

/// A text that names no status codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no status codes: write `200`, `200-399` or `200,204`")]
pub struct NotCodes(String);

impl FromStr for Codes {
    type Err = NotCodes;

    fn from_str(text: &str) -> Result<Self, NotCodes> {
        let wrong = || NotCodes(text.chars().take(40).collect());
        let code = |text: &str| {
            let code = text.trim().parse().ok();
            code.filter(|code| (100..=599).contains(code))
                .ok_or_else(wrong)
        };
        let ranges = text.split(',').map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (code(first)?, code(last)?);
            (first <= last).then_some((first, last)).ok_or_else(wrong)
        });
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Codes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status code or a range of them")
            }

            fn visit_u64<E: de::Error>(self, code: u64) -> Result<Codes, E> {
                self.visit_str(&code.to_string())
            }

            fn visit_i64<E: de::Error>(self, code: i64) -> Result<Codes, E> {
                self.visit_str(&code.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Codes, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Codes {
    fn schema_name() -> Cow<'static, str> {
        "StatusCodes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "examples": ["200-399", "200,204"] },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for text in ["200", "200-399", "200,204", "100-199,418"] {
            assert_eq!(text.parse::<Codes>().unwrap().to_string(), text);
        }
        for bad in ["", "ok", "99", "600", "300-200", "200,", "-"] {
            assert!(bad.parse::<Codes>().is_err(), "{bad}");
        }
        let number: Codes = serde_json::from_str("503").unwrap();
        assert!(number.has(503) && !number.has(200));
    }
}
