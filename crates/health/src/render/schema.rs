//! The JSON Schemas of the shapes, made from their types.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{draft, full, harvester, house, kronos, scry, soma};
use crate::Format;

impl Format {
    /// The schema of every document in this shape, by way of `generator`, which should write what is serialized.
    pub fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Full => full::Document::json_schema(generator),
            Self::Scry => scry::Document::json_schema(generator),
            Self::Kronos => kronos::Document::json_schema(generator),
            Self::House => house::Document::json_schema(generator),
            Self::Soma => soma::Document::json_schema(generator),
            Self::Harvester => harvester::Document::json_schema(generator),
        }
    }
}

/// The same for `application/health+json`.
pub fn draft_schema(generator: &mut SchemaGenerator) -> Schema {
    draft::Document::json_schema(generator)
}
