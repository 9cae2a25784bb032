//! Writes the names of today into a configuration that has other names for settings.
//!
//! Only the keys themselves change: comments, order and form of the text stay as they are.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use crate::node::{Node, Value};
use crate::path::Path;
use crate::problem::Problem;
use crate::problems::Problems;
use crate::read::{self, Format};
use crate::schema;
use crate::source::{Layer, Source, Sources};

/// A key that has another name today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// The line of the key, from 1.
    pub line: usize,
    /// The address of the setting, by its name of today.
    pub path: String,
    /// What was written.
    pub from: String,
    /// Its name of today.
    pub to: String,
}

/// A text with the names of today, and what differs from the one that was given.
///
/// # Errors
/// The text is none of its format, with the place.
pub fn migrate<T: JsonSchema>(
    name: &str,
    text: &str,
    format: Format,
) -> Result<(String, Vec<Renamed>), Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = match read::read(text, format, 0) {
        Ok(tree) => tree,
        Err(faults) => {
            let mut sources = Sources::default();
            sources.add(Source {
                layer: Layer::File,
                name: name.to_owned(),
                text: text.to_owned(),
                is_file: true,
            });
            let problems = faults.into_iter().map(Problem::from);
            return Err(Problems::new(problems.collect(), sources));
        }
    };
    let root = schema::schema_of::<T>();
    let mut found = Vec::new();
    look(&root, &root, &tree, &Path::root(), &mut found);
    // What stands once and is used twice, as an anchor, is one key.
    found.sort_by_key(|(range, _)| range.start);
    found.dedup_by_key(|(range, _)| range.start);
    let mut new = text.to_owned();
    let mut renamed = Vec::with_capacity(found.len());
    for (range, mut one) in found.into_iter().rev() {
        let Some(at) = text.get(range.clone()).and_then(|key| key.find(&one.from)) else {
            continue;
        };
        let start = range.start + at;
        new.replace_range(start..start + one.from.len(), &one.to);
        one.line = text[..start].matches('\n').count() + 1;
        renamed.push(one);
    }
    renamed.reverse();
    Ok((new, renamed))
}

fn look(
    root: &Json,
    schema: &Json,
    node: &Node,
    path: &Path,
    found: &mut Vec<(Range<usize>, Renamed)>,
) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let today = schema::alias(root, schema, &entry.key);
                // With both names there one of them is wrong, and only a person knows which.
                let today = today.filter(|name| entries.iter().all(|other| other.key != *name));
                let key = today.unwrap_or(&entry.key);
                let path = path.key(key);
                if let Some(name) = today {
                    let renamed = Renamed {
                        line: 0,
                        path: path.to_string(),
                        from: entry.key.clone(),
                        to: name.to_owned(),
                    };
                    found.push((entry.at.range(), renamed));
                }
                if let Some(below) = schema::child(root, schema, key) {
                    look(root, below, &entry.node, &path, found);
                }
            }
        }
        Value::List(items) => {
            if let Some(below) = schema::single(root, schema).get("items") {
                for (index, item) in items.iter().enumerate() {
                    look(root, below, item, &path.index(index), found);
                }
            }
        }
        _ => {}
    }
}
