//! The texts of documents, and what is wrong with them.

use super::file::Read;
use crate::node::{Node, Value};
use crate::problem::Problem;
use crate::read::{self, Format};
use crate::source::{Layer, Origin, Source, Sources};

/// Where texts and what is wrong with them are gathered.
pub(super) struct Origins<'a> {
    sources: &'a mut Sources,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(sources: &'a mut Sources, problems: &'a mut Vec<Problem>) -> Self {
        Self { sources, problems }
    }

    pub(super) fn error(&mut self, path: String, message: String, origin: Option<Origin>) {
        self.problems.push(Problem {
            path,
            origin,
            ..Problem::error(message)
        });
    }

    /// Reads a text into a tree whose every value knows where it stands.
    pub(super) fn tree(&mut self, read: &Read) -> Option<Node> {
        let text = read.text.strip_prefix('\u{feff}').unwrap_or(&read.text);
        let source = self.sources.add(Source {
            layer: Layer::File,
            name: read.shown.clone(),
            text: text.to_owned(),
            is_file: true,
        });
        let tree = match read::document(text, Format::of(read.file.as_ref()), source) {
            Ok(tree) => tree,
            Err(faults) => {
                self.problems.extend(faults.into_iter().map(Problem::from));
                return None;
            }
        };
        if matches!(tree.value, Value::Null) {
            // A file that is being written is empty at first.
            let start = Some(Origin::new(source, 0, 0));
            self.error(String::new(), "this document is empty".to_owned(), start);
            return None;
        }
        Some(tree)
    }
}
