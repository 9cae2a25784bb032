//! One document: its text, and what it says.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::file::Read;
use super::origins::Origins;
use super::schema::Schema;
use crate::node::{Node, Value};

/// One document. It never changes: another content is another document.
#[derive(Debug)]
pub struct Document {
    name: String,
    file: String,
    base: String,
    text: Arc<str>,
    hash: u128,
    schema: Option<u128>,
    mode: u32,
    value: Json,
}

impl Document {
    /// What it is called: the name of its file without the extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that it was read from.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What it says.
    #[must_use]
    pub fn value(&self) -> &Json {
        &self.value
    }

    /// The hash of its text: another one means another text.
    #[must_use]
    pub fn hash(&self) -> String {
        format!("{:032x}", self.hash)
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The name of its file, its text and who may read it.
    pub(super) fn laid_out(&self) -> (&str, &str, u32) {
        (&self.base, &self.text, self.mode)
    }

    /// Whether it is what was read, held against the same schema.
    pub(super) fn is(&self, read: &Read, schema: Option<u128>) -> bool {
        let same = self.hash == read.hash && self.text.len() == read.text.len();
        same && self.schema == schema
            && self.base == read.file
            && self.file == read.shown
            && self.mode == read.mode
    }

    pub(super) fn read(
        read: &Read,
        schema: Option<&Schema>,
        origins: &mut Origins<'_>,
    ) -> Option<Self> {
        let tree = origins.tree(read)?;
        let value = plain(&tree);
        let before = origins.problems.len();
        if let Some(schema) = schema {
            schema.check(&value, &tree, origins);
        }
        (origins.problems.len() == before).then(|| Self {
            name: read.name.clone(),
            file: read.shown.clone(),
            base: read.file.clone(),
            text: read.text.as_str().into(),
            hash: read.hash,
            schema: schema.map(Schema::hash),
            mode: read.mode,
            value,
        })
    }
}

/// The tree as JSON, with whatever says nothing as `null`: what that means is the application's business.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number, _) => Json::Number(number.clone()),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(plain).collect()),
        Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|entry| (entry.key.clone(), plain(&entry.node)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}
