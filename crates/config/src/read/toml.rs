//! TOML with spans; all syntax errors of a file at once.

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;
use crate::node::{Entry, Node, Value};
use crate::source::Origin;

/// Reads one TOML document.
pub(super) fn read(text: &str, source: usize) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..0);
            Fault {
                message: error.message().to_owned(),
                help: None,
                origin: Origin::new(source, span.start, span.end),
            }
        })
        .collect();
    let origin = origin(table.span(), source);
    let node = Node {
        value: map(table.into_inner(), source, &mut faults),
        origin,
    };
    if faults.is_empty() {
        Ok(node)
    } else {
        Err(faults)
    }
}

fn origin(span: std::ops::Range<usize>, source: usize) -> Origin {
    Origin::new(source, span.start, span.end)
}

fn map(table: DeTable<'_>, source: usize, faults: &mut Vec<Fault>) -> Value {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            at: origin(key.span(), source),
            key: key.into_inner().into_owned(),
            node: node(value, source, faults),
        })
        .collect();
    // The parser sorts by key; people expect their own order back.
    entries.sort_by_key(|entry| entry.at.range().start);
    Value::Map(entries)
}

fn node(value: Spanned<DeValue<'_>>, source: usize, faults: &mut Vec<Fault>) -> Node {
    let origin = origin(value.span(), source);
    let mut refuse = |what: &str| {
        faults.push(Fault {
            message: format!("{what} is out of range"),
            help: None,
            origin,
        });
        Value::Null
    };
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => Value::Number(value.into(), integer.as_str().to_owned()),
            Err(_) => refuse("this number"),
        },
        DeValue::Float(float) => match float
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(Number::from_f64)
        {
            Some(number) => Value::Number(number, float.as_str().to_owned()),
            None => refuse("this number"),
        },
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| node(item, source, faults))
                .collect(),
        ),
        DeValue::Table(table) => map(table, source, faults),
    };
    Node { value, origin }
}
