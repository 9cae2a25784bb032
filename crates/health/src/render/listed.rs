//! A component in a list: the shape that two of the systems share.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use super::Scene;
use super::word::Word;
use crate::Metadata;
use crate::report::Component;

/// A component with its facts.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The word for it.
    pub(super) status: Word,
    /// One sentence.
    pub(super) message: &'a str,
    /// Further facts.
    pub(super) metadata: Cow<'a, Metadata>,
}

impl<'a> Listed<'a> {
    pub(super) fn new(scene: &Scene<'_>, one: &'a Component) -> Self {
        Self {
            name: &one.name,
            status: scene.word(one.status),
            message: &one.message,
            metadata: Cow::Borrowed(&one.metadata),
        }
    }
}
