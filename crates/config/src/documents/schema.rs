//! A JSON Schema that documents are held against.
//!
//! Unlike the schemas of types it is somebody's own, so it may use all of the language; references lead within it only, and
//! patterns run in linear time.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value as Json;

use super::file::Read;
use super::origins::Origins;
use crate::node::Node;
use crate::path::Path;
use crate::source::Origin;

/// A compiled pattern may take so much memory.
const PATTERN: usize = 1 << 20;
/// So many errors of one document are told: after a few, most follow from the first.
const MOST_ERRORS: usize = 8;
/// More of what a validator says is not read.
const LONGEST: usize = 300;

pub(super) struct Schema {
    hash: u128,
    validator: Validator,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

impl Schema {
    pub(super) fn hash(&self) -> u128 {
        self.hash
    }

    pub(super) fn read(read: &Read, origins: &mut Origins<'_>) -> Option<Self> {
        let tree = origins.tree(read)?;
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN)
            .dfa_size_limit(PATTERN);
        let built = jsonschema::options()
            .offline()
            .with_pattern_options(patterns)
            .build(&tree.to_json());
        match built {
            Ok(validator) => Some(Self {
                hash: read.hash,
                validator,
            }),
            Err(error) => {
                let path = path(&error);
                let what = format!("this is no JSON Schema: {}", cut(&error.to_string()));
                let origin = place(&tree, &path);
                origins.error(path.to_string(), what, Some(origin));
                None
            }
        }
    }

    /// Tells what is wrong with `value`, at the place in `tree` that it stands at.
    pub(super) fn check(&self, value: &Json, tree: &Node, origins: &mut Origins<'_>) {
        for error in self.validator.iter_errors(value).take(MOST_ERRORS) {
            let path = path(&error);
            if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
                for key in unexpected.iter().take(MOST_ERRORS) {
                    let path = path.key(key.as_str());
                    let key = cut(key);
                    let at = place(tree, &path);
                    origins.error(path.to_string(), format!("unknown key `{key}`"), Some(at));
                }
                continue;
            }
            let at = place(tree, &path);
            origins.error(path.to_string(), cut(&error.to_string()), Some(at));
        }
    }
}

fn path(error: &ValidationError<'_>) -> Path {
    let mut path = Path::root();
    for segment in error.instance_path() {
        path = match segment {
            LocationSegment::Index(at) => path.index(at),
            LocationSegment::Property(name) => path.key(name.to_string()),
        };
    }
    path
}

/// Where it stands; the beginning for what concerns the whole.
fn place(tree: &Node, path: &Path) -> Origin {
    let whole = tree.origin;
    let start = Origin::new(whole.source(), whole.range().start, whole.range().start);
    tree.nearest(path).unwrap_or(start)
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
