//! YAML through serde-saphyr, each value with its span.
//!
//! Only `true` and `false` are booleans: `off` and `no` stay words, as in YAML 1.2, so that `admin: off` is a word and
//! Norway is a country. Aliases and merge keys work, within a budget.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess};
use serde_json::Number;
use serde_saphyr::{Budget, DuplicateKeyPolicy, Error, Location, Options, Spanned};

use super::{Fault, MAX_DEPTH};
use crate::node::{Entry, Node, Value};
use crate::source::Origin;

/// What deserialization yields before the spans are turned into origins.
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn options() -> Options {
    let mut options = Options::default();
    options.budget = Some({
        let mut budget = Budget::default();
        budget.max_depth = MAX_DEPTH;
        budget.max_aliases = 1_000;
        budget.max_anchors = 1_000;
        budget.max_events = 200_000;
        budget.max_nodes = 100_000;
        budget.max_recorded_anchor_events = 50_000;
        budget.max_recorded_anchor_bytes = 1 << 20;
        budget.max_merge_keys = 1_000;
        budget
    });
    options.alias_limits.max_total_replayed_events = 20_000;
    options.alias_limits.max_replay_stack_depth = 16;
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.strict_booleans = true;
    options.with_snippet = false;
    options
}

/// Reads one YAML document.
pub(super) fn read(text: &str, source: usize) -> Result<Node, Fault> {
    let places = Places { text, source };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => Ok(places.node(raw)),
        Err(error) => Err(places.fault(&error)),
    }
}

struct Places<'a> {
    text: &'a str,
    source: usize,
}

impl Places<'_> {
    fn origin(&self, location: Location) -> Origin {
        let span = location.span();
        let byte = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
        let start = byte(span.byte_offset()).unwrap_or(0).min(self.text.len());
        let len = byte(span.byte_len()).unwrap_or(0);
        Origin::new(
            self.source,
            start,
            start.saturating_add(len).min(self.text.len()),
        )
    }

    fn node(&self, raw: Spanned<Raw>) -> Node {
        let origin = self.origin(raw.defined);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(number) => {
                let written = self
                    .text
                    .get(origin.range())
                    .map(str::trim)
                    .filter(|text| !text.is_empty());
                let written = written.map_or_else(|| number.to_string(), str::to_owned);
                Value::Number(number, written)
            }
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => {
                Value::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        at: self.origin(key.defined),
                        key: key.value,
                        node: self.node(value),
                    })
                    .collect(),
            ),
        };
        Node { value, origin }
    }

    fn fault(&self, error: &Error) -> Fault {
        let error = error.without_snippet();
        let origin = error
            .location()
            .map_or(Origin::new(self.source, 0, 0), |location| {
                let origin = self.origin(location);
                if location.span().byte_offset().is_some() {
                    origin
                } else {
                    self.line_column(location)
                }
            });
        let (message, help) = explain(error);
        Fault {
            message,
            help,
            origin,
        }
    }

    /// For errors of the parser that know only line and column.
    fn line_column(&self, location: Location) -> Origin {
        let line = usize::try_from(location.line()).unwrap_or(1).max(1);
        let column = usize::try_from(location.column()).unwrap_or(1).max(1);
        let mut start = 0;
        for (number, text) in self.text.split_inclusive('\n').enumerate() {
            if number + 1 == line {
                let within = text
                    .char_indices()
                    .nth(column - 1)
                    .map_or(text.trim_end().len(), |(at, _)| at);
                return Origin::new(self.source, start + within, start + within);
            }
            start += text.len();
        }
        Origin::new(self.source, start, start)
    }
}

fn explain(error: &Error) -> (String, Option<String>) {
    if let Error::AliasError { error, .. } = error {
        return explain(error);
    }
    let (message, help) = match error {
        Error::DuplicateMappingKey { key, .. } => (
            match key {
                Some(key) => format!("the key `{key}` is written twice in one mapping"),
                None => "a key is written twice in one mapping".to_owned(),
            },
            Some("keep one of the two; which one counts would be a guess"),
        ),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "aliases expand to more content than is allowed".to_owned(),
            Some("write the repeated parts out, or nest the aliases less"),
        ),
        Error::Budget { .. } => (
            format!(
                "this is more than is read: {}",
                one_line(&error.to_string())
            ),
            Some("split it, or nest it less"),
        ),
        Error::MultipleDocuments { .. } => (
            "there is more than one document here".to_owned(),
            Some("keep one document; remove the `---` between them"),
        ),
        other => {
            let message = one_line(&other.to_string());
            let help = syntax_help(&message);
            (message, Some(help))
        }
    };
    (message, help.map(str::to_owned))
}

/// The usual reason of what the parser says in its own words; the place that it names is often just behind the mistake.
fn syntax_help(message: &str) -> &'static str {
    if message.contains("tab") {
        "indent with spaces"
    } else if message.contains("mapping values") {
        "check the indentation, here and in the line above; a text that holds `: ` needs quotes"
    } else if message.contains("anchor") {
        "a text that begins with `*` or `&` needs quotes"
    } else {
        "check indentation, quotes and brackets, here and before"
    }
}

/// The parser appends the place to its messages; the caret shows it already.
fn one_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or("this is not YAML");
    let line = line.split(" at line ").next().unwrap_or(line);
    let line = line.split(" (line ").next().unwrap_or(line);
    line.trim_end_matches([':', ' ']).to_owned()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Number::from_f64(value)
            .map(Raw::Number)
            .ok_or_else(|| E::custom("this number is not finite"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}
