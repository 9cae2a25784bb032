//! A text that may name secrets, which are looked up whenever it is used.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::reference::{Kind, parse};
use crate::secret::Secret;

/// A text such as `Bearer ${secret:openai}`.
///
/// It holds no secret, only its name, so it may be shown as it was written; what it says is asked for when it is needed, and
/// is a [`Secret`] then.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Template(String);

impl Template {
    /// A template of what stands in a file.
    pub fn new(written: impl Into<String>) -> Self {
        Self(written.into())
    }

    /// The names of its secrets.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let pieces = parse(&self.0).unwrap_or_default();
        pieces.into_iter().filter_map(|piece| match piece.kind {
            Kind::Secret(name) => Some(name),
            _ => None,
        })
    }

    /// What it says, with each secret as `value` gives it; nothing when one is not known.
    pub fn say(&self, value: impl Fn(&str) -> Option<Secret>) -> Option<Secret> {
        let mut said = String::new();
        for piece in parse(&self.0).ok()? {
            match piece.kind {
                Kind::Text(text) => said.push_str(&text),
                Kind::Secret(name) => said.push_str(value(&name)?.expose()),
                // The loader has put in what it says.
                Kind::Variable { .. } => return None,
            }
        }
        Some(Secret::new(said))
    }

    /// What it says when its secrets are all `word`, to check the rest of it.
    #[must_use]
    pub fn with(&self, word: &str) -> String {
        let said = self.say(|_| Some(Secret::new(word)));
        said.map_or_else(|| self.0.clone(), |said| said.expose().to_owned())
    }
}

impl From<&str> for Template {
    fn from(written: &str) -> Self {
        Self::new(written)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A variable that was put in may be a secret, which nobody here knows.
        f.write_str("Template")
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "text",
            "description": "A text that may name secrets, as in `Bearer ${secret:openai}`.",
            "x-template": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_its_secrets_are_by_then() {
        let template = Template::new("Bearer ${secret:a}${secret:b} $${x}");
        assert_eq!(template.names().collect::<Vec<_>>(), ["a", "b"]);
        let said = template.say(|name| Some(Secret::new(name.repeat(2))));
        assert_eq!(
            said.map(|said| said.expose().to_owned()).as_deref(),
            Some("Bearer aabb ${x}")
        );
        assert_eq!(
            template.say(|name| (name == "a").then(|| Secret::new("1"))),
            None
        );
        assert_eq!(Template::default().say(|_| None), Some(Secret::default()));
        assert_eq!(format!("{template:?}"), "Template");
    }
}
