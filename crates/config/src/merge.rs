//! Lays one tree over another.
//!
//! Mappings merge key by key; anything else is replaced. A list whose schema names a merge key is merged by that key: items
//! with the same value are merged in place, new ones follow. Keys that the schema lists as ways to say the same replace each other.
//! An empty value (`key:`) says nothing.

use serde_json::Value as Json;

use crate::node::{Entry, Node, Value};
use crate::schema::{self, INSTEAD, MERGE};

/// Lays `over` on `base`.
pub(crate) fn merge(root: &Json, schema: Option<&Json>, base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (value, Value::Null) => Node {
            value,
            origin: base.origin,
        },
        (Value::Map(mut entries), Value::Map(overs)) => {
            let mut overs = overs;
            if let Some(schema) = schema {
                settle_aliases(root, schema, &mut entries);
                settle_aliases(root, schema, &mut overs);
            }
            take_back(root, schema, &mut entries, &overs);
            for over in overs {
                let child = schema.and_then(|schema| schema::child(root, schema, &over.key));
                match entries.iter_mut().find(|entry| entry.key == over.key) {
                    Some(entry) => {
                        let below = std::mem::replace(&mut entry.node.value, Value::Null);
                        let below = Node {
                            value: below,
                            origin: entry.node.origin,
                        };
                        if !matches!(over.node.value, Value::Null) {
                            entry.at = over.at;
                        }
                        entry.node = merge(root, child, below, over.node);
                    }
                    None => entries.push(over),
                }
            }
            Node {
                value: Value::Map(entries),
                origin: over.origin,
            }
        }
        (Value::List(items), Value::List(overs)) => {
            let schema = schema.map(|schema| (schema, schema::resolve(root, schema)));
            let key = schema
                .and_then(|(outer, inner)| outer.get(MERGE).or_else(|| inner.get(MERGE)))
                .and_then(Json::as_str);
            let value = match key {
                Some(key) => {
                    let item_schema = schema.and_then(|(_, inner)| inner.get("items"));
                    Value::List(by_key(root, item_schema, key, items, overs))
                }
                None => Value::List(overs),
            };
            Node {
                value,
                origin: over.origin,
            }
        }
        (_, value) => Node {
            value,
            origin: over.origin,
        },
    }
}

/// Gives keys that have another name the one that the other tree may have used; with both here, [`crate::check`] complains.
fn settle_aliases(root: &Json, schema: &Json, entries: &mut [Entry]) {
    for at in 0..entries.len() {
        if let Some(name) = schema::alias(root, schema, &entries[at].key)
            && entries.iter().all(|entry| entry.key != name)
        {
            entries[at].key = name.to_owned();
        }
    }
}

/// Takes out what is said in another way now.
fn take_back(root: &Json, schema: Option<&Json>, entries: &mut Vec<Entry>, overs: &[Entry]) {
    let ways = schema.and_then(|schema| schema::single(root, schema).get(INSTEAD));
    let is_way = |entry: &Entry| {
        let mut ways = ways.and_then(Json::as_array).into_iter().flatten();
        ways.any(|way| way == &entry.key)
    };
    let says = |entry: &Entry| is_way(entry) && !matches!(entry.node.value, Value::Null);
    if overs.iter().any(says) {
        entries.retain(|entry| !is_way(entry));
    }
}

fn by_key(
    root: &Json,
    schema: Option<&Json>,
    key: &str,
    mut items: Vec<Node>,
    overs: Vec<Node>,
) -> Vec<Node> {
    let name = |node: &Node| match node.get(key).map(|node| &node.value) {
        Some(Value::Text(text)) => Some(text.clone()),
        _ => None,
    };
    // Two items of one layer are never merged: that they clash is for validation to say.
    let below = items.len();
    for over in overs {
        let wanted = name(&over);
        let same = wanted.and_then(|wanted| {
            items[..below]
                .iter()
                .position(|item| name(item).as_deref() == Some(&wanted))
        });
        match same {
            Some(at) => {
                let item = items[at].clone();
                items[at] = merge(root, schema, item, over);
            }
            None => items.push(over),
        }
    }
    items
}
