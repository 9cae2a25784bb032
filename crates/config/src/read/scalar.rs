//! The value of a variable or a flag: a plain word, or YAML in flow style.
//!
//! `0.0.0.0:8000`, `a: b` and `- x` are plain words here: only what begins with a bracket, a brace or a quote is parsed.

use serde_json::Number;

use super::{Fault, yaml};
use crate::node::{Node, Value};
use crate::source::Origin;

/// Takes the value as it is: where only text may stand, brackets and quotes are part of it, as in a password.
pub(crate) fn verbatim(text: &str, start: usize, source: usize) -> Node {
    let value = &text[start..];
    let value = if value.is_empty() {
        Value::Null
    } else {
        Value::Text(value.to_owned())
    };
    Node {
        value,
        origin: Origin::new(source, start, text.len()),
    }
}

/// Reads the value that begins at byte `start` of `text`, the whole text of the source.
pub(crate) fn inline(text: &str, start: usize, source: usize) -> Result<Node, Fault> {
    let value = &text[start..];
    let origin = Origin::new(source, start, text.len());
    if value.trim_start().starts_with(['[', '{', '"', '\'']) {
        // Blanks in front keep the spans those of the whole text.
        let padded = " ".repeat(start) + value;
        return yaml::read(&padded, source);
    }
    Ok(Node {
        value: plain(value),
        origin,
    })
}

/// What a plain word is: nothing, a truth, a number or itself.
pub(crate) fn plain(text: &str) -> Value {
    let word = text.trim();
    let number = || {
        let integer = word.parse::<u64>().map(Number::from).ok();
        let integer = integer.or_else(|| word.parse::<i64>().map(Number::from).ok());
        let looks_decimal = word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        integer.or_else(|| {
            word.parse()
                .ok()
                .filter(|_| looks_decimal)
                .and_then(Number::from_f64)
        })
    };
    match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "" | "null" | "~" => Value::Null,
        _ => number().map_or_else(
            || Value::Text(text.to_owned()),
            |number| Value::Number(number, text.to_owned()),
        ),
    }
}
