//! The value tree: every value knows where it was written.

use serde_json::{Map as JsonMap, Number, Value as Json};

use crate::path::{Path, Segment};
use crate::source::Origin;

/// A value and its origin.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum Value {
    /// Written but empty: it says nothing, so the layer below keeps its word.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, and the text it was written as, for places that want text.
    Number(Number, String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order it was written.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub at: Origin,
    /// The value.
    pub node: Node,
}

/// Whether a key is the user's own: it may stand anywhere and means nothing to us.
pub(crate) fn is_extension(key: &str) -> bool {
    key.starts_with("x-")
}

impl Node {
    pub(crate) fn map(entries: Vec<Entry>, origin: Origin) -> Self {
        Self {
            value: Value::Map(entries),
            origin,
        }
    }

    /// A whole tree that was written at one place.
    pub(crate) fn of(value: &Json, origin: Origin) -> Self {
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Number(number.clone(), number.to_string()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => {
                Value::List(items.iter().map(|item| Self::of(item, origin)).collect())
            }
            Json::Object(object) => {
                let entry = |(key, value): (&String, &Json)| Entry {
                    key: key.clone(),
                    at: origin,
                    node: Self::of(value, origin),
                };
                Value::Map(object.iter().map(entry).collect())
            }
        };
        Self { value, origin }
    }

    /// The word for what it is.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(number, _) if number.is_f64() => "a number with a fraction",
            Value::Number(..) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Finds the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Finds the node at a path.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&Node> {
        path.segments()
            .iter()
            .try_fold(self, |node, segment| node.step(segment))
    }

    fn step(&self, segment: &Segment) -> Option<&Node> {
        match (segment, &self.value) {
            (Segment::Key(key), _) => self.get(key),
            (Segment::Index(index), Value::List(items)) => items.get(*index),
            (Segment::Index(_), _) => None,
        }
    }

    /// The origin of what stands at a path, or of the closest thing around it that was written.
    pub(crate) fn nearest(&self, path: &Path) -> Option<Origin> {
        let mut node = self;
        let mut found = None;
        for segment in path.segments() {
            let Some(next) = node.step(segment) else {
                break;
            };
            found = Some(match (segment, &next.value) {
                // A whole mapping is best shown by its key: its own text may be many lines.
                (Segment::Key(key), Value::Map(_) | Value::List(_) | Value::Null) => {
                    node.entry(key).map_or(next.origin, |entry| entry.at)
                }
                _ => next.origin,
            });
            node = next;
        }
        found
    }

    fn step_mut(&mut self, segment: &Segment) -> Option<&mut Self> {
        match (segment, &mut self.value) {
            (Segment::Key(key), Value::Map(entries)) => entries
                .iter_mut()
                .find(|entry| entry.key == *key)
                .map(|entry| &mut entry.node),
            (Segment::Index(index), Value::List(items)) => items.get_mut(*index),
            _ => None,
        }
    }

    /// Takes out what stands at a path. Returns whether something stood there.
    pub(crate) fn remove(&mut self, path: &Path) -> bool {
        let Some((last, parents)) = path.segments().split_last() else {
            return false;
        };
        let mut node = self;
        for segment in parents {
            let Some(next) = node.step_mut(segment) else {
                return false;
            };
            node = next;
        }
        match (last, &mut node.value) {
            (Segment::Key(key), Value::Map(entries)) => {
                let before = entries.len();
                entries.retain(|entry| entry.key != *key);
                entries.len() < before
            }
            _ => false,
        }
    }

    /// Puts a node under a path of keys, over what is there; mappings on the way are made.
    pub(crate) fn put(&mut self, path: &Path, node: Self) {
        let Some((Segment::Key(key), rest)) = path.segments().split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else {
            return;
        };
        let place = entries.iter().position(|entry| entry.key == *key);
        let place = place.unwrap_or_else(|| {
            entries.push(Entry {
                key: key.clone(),
                at: node.origin,
                node: Self::map(Vec::new(), node.origin),
            });
            entries.len() - 1
        });
        let rest: Path = rest.iter().cloned().collect();
        entries[place].node.put(&rest, node);
    }

    /// Replaces what is at a path, if something is.
    pub(crate) fn set(&mut self, path: &Path, node: Self) {
        let mut place = self;
        for segment in path.segments() {
            let Some(next) = place.step_mut(segment) else {
                return;
            };
            place = next;
        }
        *place = node;
    }

    /// The same values with other origins.
    pub(crate) fn with_origins(&self, change: &mut impl FnMut(Origin) -> Origin) -> Self {
        let value = match &self.value {
            Value::List(items) => {
                Value::List(items.iter().map(|item| item.with_origins(change)).collect())
            }
            Value::Map(entries) => {
                let entry = |entry: &Entry| Entry {
                    key: entry.key.clone(),
                    at: change(entry.at),
                    node: entry.node.with_origins(change),
                };
                Value::Map(entries.iter().map(entry).collect())
            }
            plain => plain.clone(),
        };
        Self {
            value,
            origin: change(self.origin),
        }
    }

    /// Shows every value with its path, the leaves only.
    pub(crate) fn each(&self, path: &Path, see: &mut impl FnMut(&Path, &Self)) {
        match &self.value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.each(&path.index(index), see);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    entry.node.each(&path.key(entry.key.as_str()), see);
                }
            }
            _ => see(path, self),
        }
    }

    /// The tree as plain JSON, without what says nothing.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number, _) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries
                    .iter()
                    .filter(|entry| !matches!(entry.node.value, Value::Null))
                    .map(|entry| (entry.key.clone(), entry.node.to_json()))
                    .collect::<JsonMap<_, _>>(),
            ),
        }
    }
}
