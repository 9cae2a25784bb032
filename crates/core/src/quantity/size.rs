//! A number of bytes: `512`, `64KiB`, `10MB`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ParseError;
use super::decimal::{self, Refusal};

/// Every unit in bytes. Within binary and decimal the largest comes first: printing takes the first that divides evenly.
const UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("", 1),
];

/// A number of bytes, written as `512`, `64KiB` (1024 each) or `10MB` (1000 each).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

impl Size {
    /// Makes a size of `count` KiB.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// Makes a size of `count` MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// Gives the number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Size {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl From<Size> for u64 {
    fn from(size: Size) -> Self {
        size.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .into_iter()
            .find(|(name, worth)| name.len() > 1 && self.0 != 0 && self.0.is_multiple_of(*worth));
        match exact {
            Some((name, worth)) => write!(f, "{}{name}", self.0 / worth),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let shown = decimal::excerpt(text);
        let (bytes, rest) = decimal::term(text.trim(), &UNITS, true)
            .map_err(|refusal| explain(&shown, &refusal))?;
        if !rest.is_empty() {
            return Err(explain(&shown, &Refusal::NoNumber));
        }
        u64::try_from(bytes)
            .map(Self)
            .map_err(|_| explain(&shown, &Refusal::TooLarge))
    }
}

fn explain(text: &str, refusal: &Refusal) -> ParseError {
    ParseError::new(match refusal {
        Refusal::NoNumber => format!("`{text}` is not a size: write bytes, `64KiB` or `10MB`"),
        Refusal::Unit(unit) => {
            let unit = decimal::excerpt(unit);
            format!(
                "`{text}` has no unit of size: `{unit}` is none of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"
            )
        }
        Refusal::TooFine => format!("`{text}` is not a whole number of bytes"),
        Refusal::TooLarge => format!("`{text}` is more bytes than 64 bits can count"),
    })
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 512, `64KiB` or `10MB`")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "title": "size",
            "description": "A number of bytes, such as `512`, `64KiB` (1024 each) or `10MB` (1000 each).",
            "pattern": r"^\s*[0-9]+(\.[0-9]+)? *([kKmMgGtT][iI]?[bB]|[bB])?\s*$",
            "minimum": 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64kib", 65_536),
            ("10MB", 10_000_000),
            ("1.5MiB", 1_572_864),
            ("0", 0),
        ] {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        let message = |text: &str| text.parse::<Size>().unwrap_err().to_string();
        assert!(
            message("64KiBs").contains("`KiBs` is none of"),
            "{}",
            message("64KiBs")
        );
        assert!(message("ten").contains("not a size"));
        assert!(message("1KiB2").contains("not a size"));
        assert!(message("1.5").contains("whole number of bytes"));
        assert!(message("99999999TiB").contains("64 bits"));
    }

    proptest! {
        #[test]
        fn printing_round_trips(bytes: u64) {
            prop_assert_eq!(Size(bytes).to_string().parse::<Size>().unwrap(), Size(bytes));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            if let Ok(size) = text.parse::<Size>() {
                prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
            }
        }
    }
}
