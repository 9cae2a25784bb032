//! Texts into located trees: YAML, TOML and JSON files, and the values of variables and flags.
//!
//! All formats give the same tree for the same content, so the rest of the crate does not know which one was used. Every
//! reader has bounds on size, depth and expansion; a text beyond them is an error with a line, not a slow start.

mod json;
mod scalar;
mod toml;
mod yaml;

use std::path::Path as FsPath;

pub(crate) use scalar::{inline, plain, verbatim};

use crate::node::{Node, Value};
use crate::source::Origin;

/// The largest file that is read.
pub const MAX_FILE: usize = 4 << 20;
/// The longest single value.
pub(crate) const MAX_VALUE: usize = 64 << 10;
/// The deepest nesting. No setting comes near it, and each level costs the reader stack.
const MAX_DEPTH: usize = 32;
/// How many faults of one text are told: after a few, most follow from the first.
const MOST_FAULTS: usize = 8;

/// A notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// TOML 1.
    Toml,
    /// JSON.
    Json,
}

impl Format {
    /// Tells the notation by the file's extension; YAML when that says nothing.
    #[must_use]
    pub fn of(path: &FsPath) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            Some("json") => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// What is wrong with a text, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) origin: Origin,
}

/// Reads the text of a configuration, which is a mapping, into a tree.
pub(crate) fn read(text: &str, format: Format, source: usize) -> Result<Node, Vec<Fault>> {
    let node = document(text, format, source)?;
    if matches!(node.value, Value::Map(_) | Value::Null) {
        return Ok(node);
    }
    let origin = Origin::new(source, node.origin.range().start, node.origin.range().end);
    Err(vec![Fault {
        message: format!(
            "a configuration is a mapping of keys, and this is {}",
            node.kind()
        ),
        help: Some("write a key and its value, such as `threads: 2`".into()),
        origin,
    }])
}

/// Reads any text into a tree.
pub(crate) fn document(text: &str, format: Format, source: usize) -> Result<Node, Vec<Fault>> {
    if text.len() > MAX_FILE {
        return Err(vec![Fault {
            message: format!(
                "the file is larger than {} MiB, which is the most that is read",
                MAX_FILE >> 20
            ),
            help: Some("a configuration takes a few KiB: is this the file that was meant?".into()),
            origin: Origin::new(source, 0, 0),
        }]);
    }
    let node = match format {
        Format::Yaml => yaml::read(text, source).map_err(|fault| vec![fault]),
        Format::Toml => toml::read(text, source).map_err(|mut faults| {
            faults.truncate(MOST_FAULTS);
            faults
        }),
        Format::Json => json::read(text, source).map_err(|fault| vec![fault]),
    }?;
    let mut faults = Vec::new();
    long_values(&node, &mut faults);
    if faults.is_empty() {
        Ok(node)
    } else {
        Err(faults)
    }
}

fn long_values(node: &Node, faults: &mut Vec<Fault>) {
    match &node.value {
        Value::Text(text) if text.len() > MAX_VALUE => faults.push(Fault {
            message: format!(
                "this value has {} bytes; at most {MAX_VALUE} are allowed",
                text.len()
            ),
            help: Some("put long content into a file of its own and name the file here".into()),
            // The head of it is enough to find it.
            origin: Origin::new(
                node.origin.source(),
                node.origin.range().start,
                node.origin.range().start + 1,
            ),
        }),
        Value::List(items) => items.iter().for_each(|item| long_values(item, faults)),
        Value::Map(entries) => entries
            .iter()
            .for_each(|entry| long_values(&entry.node, faults)),
        _ => {}
    }
}
