//! Fields of a request whose values are secrets: tokens are what people put there.

use std::collections::BTreeMap;
use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::probe::Fault;

/// What is shown instead of a value.
const MASK: &str = "***";

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct Value(String);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl JsonSchema for Value {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretField".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A text that is never printed.",
            "format": "password",
            "writeOnly": true,
        })
    }
}

/// Names and values. The values are never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, Value>);

impl Headers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds what cannot be sent.
    pub(in crate::probe) fn faults(&self, faults: &mut Vec<Fault>) {
        // These frame the message, and only the client may set them.
        const OURS: [&str; 5] = [
            "connection",
            "content-length",
            "transfer-encoding",
            "te",
            "upgrade",
        ];
        for (name, value) in &self.0 {
            let lower = name.to_ascii_lowercase();
            if HeaderName::try_from(name).is_err() || OURS.contains(&lower.as_str()) {
                let message = format!("`{name}` is no field that can be set");
                faults.push(Fault::new("headers", message, "leave it out"));
            } else if HeaderValue::try_from(&value.0).is_err() {
                let message =
                    format!("the value of `{name}` holds characters that a field must not");
                faults.push(Fault::new("headers", message, "write it on one line"));
            }
        }
    }

    /// The fields as they are sent; what cannot be sent is left out.
    pub(in crate::probe) fn to_map(&self) -> HeaderMap {
        let pairs = self.0.iter().filter_map(|(name, value)| {
            let mut value = HeaderValue::try_from(&value.0).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        });
        pairs.collect()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Headers {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), Value(value.to_owned()));
        Self(pairs.into_iter().map(own).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_shown() {
        let headers = Headers::from([("Authorization", "Bearer hunter2")]);
        let shown = format!("{headers:?} {:?}", headers.to_map());
        let written = serde_json::to_string(&headers).unwrap();
        assert!(!shown.contains("hunter2") && !written.contains("hunter2"));
        assert!(shown.contains("Authorization"));
    }

    #[test]
    fn what_would_break_the_message_is_a_fault() {
        let headers = Headers::from([("Content-Length", "1"), ("a b", "x"), ("x", "a\r\nb")]);
        let mut faults = Vec::new();
        headers.faults(&mut faults);
        assert_eq!(faults.len(), 3);
    }
}
