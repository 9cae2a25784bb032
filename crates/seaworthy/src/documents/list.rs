//! Which documents there are, as a document.

use schemars::JsonSchema;
use seaworthy_config::documents::Documents;
use serde::Serialize;

/// All sets, as `/-/config/documents` answers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DocumentsDocument {
    /// The sets, sorted by name.
    pub sets: Vec<SetEntry>,
}

/// One set.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SetEntry {
    /// Its name.
    pub name: String,
    /// Its documents, sorted by name.
    pub documents: Vec<DocumentEntry>,
}

/// One document.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DocumentEntry {
    /// Its name.
    pub name: String,
    /// The file that it was read from.
    pub file: String,
    /// The hash of its text.
    pub hash: String,
    /// Its length.
    pub bytes: usize,
}

impl DocumentsDocument {
    pub(super) fn of(documents: &Documents) -> Self {
        let set = |name: &str| SetEntry {
            name: name.to_owned(),
            documents: documents
                .of(name)
                .map(|document| DocumentEntry {
                    name: document.name().to_owned(),
                    file: document.file().to_owned(),
                    hash: document.hash(),
                    bytes: document.bytes(),
                })
                .collect(),
        };
        Self {
            sets: documents.sets().map(set).collect(),
        }
    }
}
