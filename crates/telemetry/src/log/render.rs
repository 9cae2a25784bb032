//! How one log line is spelled.

use std::fmt::{self, Write as _};

use seaworthy_core::names::event as names;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::json;

/// The longest value of a field; what is longer is cut and ends in an ellipsis.
const LONGEST: usize = 8 * 1024;

/// Which spelling.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Json,
    Text { color: bool },
}

/// What an event carries, with the well-known fields sorted out.
#[derive(Debug, Default)]
pub(super) struct Fields {
    message: String,
    event: Option<String>,
    ids: [Option<String>; IDS.len()],
    others: Vec<(&'static str, Value)>,
}

/// Always present in JSON, so that a query needs no case for lines without them.
const IDS: [&str; 3] = ["request_id", "trace_id", "span_id"];

/// Keys of ours that a field must not repeat: a JSON object with a key twice means whatever its reader likes.
const TAKEN: [(&str, &str); 3] = [
    ("ts", "field_ts"),
    ("level", "field_level"),
    ("service", "field_service"),
];

#[derive(Debug)]
enum Value {
    /// A number or a word that JSON knows; needs no quotes.
    Bare(String),
    Text(String),
}

impl Fields {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let id = IDS.iter().position(|id| *id == name);
        match (name, value) {
            ("message", Value::Bare(text) | Value::Text(text)) => self.message = text,
            ("event", Value::Bare(text) | Value::Text(text)) => self.event = Some(text),
            (_, Value::Bare(text) | Value::Text(text)) if id.is_some() => {
                self.ids[id.unwrap_or_default()] = Some(text);
            }
            (_, value) => {
                let renamed = TAKEN.iter().find(|(taken, _)| *taken == name);
                let name = renamed.map_or(name, |(_, other)| other);
                self.others.push((name, value));
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // A value whose printing fails leaves what it has printed so far.
        write!(text, "{value:?}").ok();
        self.put(field, Value::Text(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bare(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for infinity.
        let value = if value.is_finite() {
            Value::Bare(format!("{value:?}"))
        } else {
            Value::Text(value.to_string())
        };
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            write!(text, ": {error}").ok();
            cause = error.source();
        }
        self.put(field, Value::Text(text));
    }
}

impl Style {
    /// Whether a reader of this spelling wants to know of the event at all: the steps of a start are for machines, people
    /// read what listens where instead.
    pub(super) fn shows(self, fields: &Fields) -> bool {
        matches!(self, Self::Json) || fields.event.as_deref() != Some(names::STARTUP_PHASE)
    }
}

/// Appends one line.
pub(super) fn line(
    out: &mut Vec<u8>,
    style: Style,
    stamp: &[u8; 24],
    level: Level,
    service: &str,
    fields: &Fields,
) {
    match style {
        Style::Json => line_json(out, stamp, level, service, fields),
        Style::Text { color } => line_text(out, stamp, level, color, fields),
    }
    out.push(b'\n');
}

fn line_json(out: &mut Vec<u8>, stamp: &[u8; 24], level: Level, service: &str, fields: &Fields) {
    out.extend_from_slice(br#"{"ts":""#);
    out.extend_from_slice(stamp);
    out.extend_from_slice(br#"","level":""#);
    out.extend_from_slice(word(level).as_bytes());
    out.push(b'"');
    pair(out, "event", fields.event.as_deref().unwrap_or(names::LOG));
    pair(out, "service", service);
    pair(out, "message", &fields.message);
    for (name, id) in IDS.iter().zip(&fields.ids) {
        match id {
            Some(id) => pair(out, name, id),
            None => {
                key(out, name);
                out.extend_from_slice(b"null");
            }
        }
    }
    for (name, value) in &fields.others {
        match value {
            Value::Text(text) => pair(out, name, text),
            Value::Bare(text) => {
                key(out, name);
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    json::push(out, name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn pair(out: &mut Vec<u8>, name: &str, text: &str) {
    key(out, name);
    out.push(b'"');
    json::push_bounded(out, text.as_bytes(), LONGEST);
    out.push(b'"');
}

/// `10:00:00Z warn  the message key=value key="two words"`. Lines of a message after the first are indented; fields that the
/// message says already are left out.
fn line_text(out: &mut Vec<u8>, stamp: &[u8; 24], level: Level, color: bool, fields: &Fields) {
    let (dim, bold, reset) = if color {
        ("\x1b[2m", paint(level), "\x1b[0m")
    } else {
        ("", "", "")
    };
    out.extend_from_slice(dim.as_bytes());
    out.extend_from_slice(&stamp[11..19]);
    out.extend_from_slice(b"Z");
    out.extend_from_slice(reset.as_bytes());
    out.push(b' ');
    out.extend_from_slice(bold.as_bytes());
    out.extend_from_slice(word(level).as_bytes());
    out.extend_from_slice(reset.as_bytes());
    out.resize(out.len() + 6 - word(level).len(), b' ');
    for (at, part) in fields.message.lines().enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\n                ");
        }
        json::push_printable(out, part.as_bytes(), LONGEST);
    }
    let ids = IDS.iter().zip(&fields.ids);
    let ids = ids.filter_map(|(name, id)| id.as_deref().map(|id| (*name, id)));
    let others = fields.others.iter().map(|(name, value)| match value {
        Value::Text(text) | Value::Bare(text) => (*name, text.as_str()),
    });
    let others = others.filter(|(_, text)| !says(&fields.message, text));
    for (name, text) in others.chain(ids) {
        out.push(b' ');
        out.extend_from_slice(dim.as_bytes());
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(reset.as_bytes());
        let quote = text.is_empty() || text.contains([' ', '"', '=']);
        out.extend_from_slice(if quote { b"\"" } else { b"" });
        json::push_bounded(out, text.as_bytes(), LONGEST);
        out.extend_from_slice(if quote { b"\"" } else { b"" });
    }
}

/// Whether a sentence holds `text` as whole words: who reads the sentence needs no field that repeats a part of it.
fn says(sentence: &str, text: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric();
    !text.is_empty()
        && sentence.match_indices(text).any(|(at, _)| {
            let before = sentence[..at].chars().next_back();
            let after = sentence[at + text.len()..].chars().next();
            !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
        })
}

fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn paint(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[1;31m",
        Level::WARN => "\x1b[1;33m",
        Level::INFO => "\x1b[1;32m",
        Level::DEBUG | Level::TRACE => "\x1b[1;34m",
    }
}
