//! JSON: judged by serde_json, located by the YAML reader.
//!
//! JSON is a subset of YAML, so one reader gives the spans; serde_json goes first because its errors speak of JSON.

use serde::de::IgnoredAny;

use super::{Fault, yaml};
use crate::node::Node;
use crate::source::Origin;

/// Reads one JSON document.
pub(super) fn read(text: &str, source: usize) -> Result<Node, Fault> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => yaml::read(text, source),
        Err(error) => Err(Fault {
            message: without_place(&error.to_string()),
            help: Some(
                "keys and texts stand in double quotes, and no comma follows the last entry".into(),
            ),
            origin: place(text, error.line(), error.column(), source),
        }),
    }
}

fn without_place(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
        .to_owned()
}

/// serde_json counts columns in bytes.
fn place(text: &str, line: usize, column: usize, source: usize) -> Origin {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    Origin::new(source, at, at)
}
