//! The application's own settings in the running instance: read and checked as a whole, then swapped in.
//!
//! [`Documents::prepare`] changes nothing that anybody sees; [`Documents::commit`] does, at once and without a way to fail as a whole.
//! Afterwards the app is told by whoever knows where it is ([`Notice`]). How files are read and laid out is the business
//! of [`seaworthy_config::documents`].

mod list;
mod notice;

use std::sync::Arc;

use arc_swap::ArcSwap;
use seaworthy_config::Problems;
use seaworthy_config::documents::{self, Changes, Failed};
use seaworthy_core::names::event;

pub use self::list::{DocumentEntry, DocumentsDocument, SetEntry};
pub use self::notice::Notice;
use crate::config::Config;
use crate::config::documents::Notify;

/// The documents of an instance. Clones are the same documents; who has one in his hands keeps it while others come.
#[derive(Clone, Debug, Default)]
pub struct Documents(Arc<ArcSwap<documents::Documents>>);

/// Documents that were read and do not hold yet. Dropping them leaves everything as it was.
#[derive(Debug)]
pub struct Prepared {
    prepared: documents::Prepared,
    notices: Vec<Notice>,
}

/// What became of them.
#[derive(Debug)]
pub struct Committed {
    /// What became of each document, by set and name.
    pub changes: Changes,
    /// What the app is to be told.
    pub notices: Vec<Notice>,
}

impl Prepared {
    /// Whether any document is another than before.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        let changes = self.prepared.checked().changes();
        changes.values().flatten().any(|(_, change)| change.changed)
    }
}

impl Documents {
    /// The documents of an instance that starts: nobody has to be told.
    ///
    /// # Errors
    /// Everything that is wrong with any document, or with a folder to write to.
    pub fn start(config: &Config) -> Result<Self, Problems> {
        let documents = Self::default();
        documents.commit(Self::prepare(config, None)?);
        Ok(documents)
    }

    /// Reads and checks what `config` names, and writes nothing.
    ///
    /// # Errors
    /// Everything that is wrong with any document.
    pub fn check(config: &Config) -> Result<(), Problems> {
        documents::Documents::check(&config.folder, &config.document_sets(), None).map(drop)
    }

    /// Reads and checks what `config` names; what `before` has already is not parsed again.
    ///
    /// # Errors
    /// Everything that is wrong with any document, or with a folder to write to.
    pub fn prepare(config: &Config, before: Option<&Self>) -> Result<Prepared, Problems> {
        let before = before.map(|before| before.0.load_full());
        let sets = config.document_sets();
        let prepared = documents::Documents::prepare(&config.folder, &sets, before.as_deref())?;
        let changes = prepared.checked().changes();
        let notices = config.documents.iter().filter_map(|set| {
            let changed = changed(changes, &set.name);
            let is_wanted = set.notify != Notify::None && !changed.is_empty();
            is_wanted.then(|| Notice::new(&set.name, changed, set.notify.clone()))
        });
        Ok(Prepared {
            notices: notices.collect(),
            prepared,
        })
    }

    /// Lets prepared documents hold from now on.
    pub fn commit(&self, prepared: Prepared) -> Committed {
        for set in prepared.prepared.checked().empty() {
            tracing::warn!(
                event = event::CONFIG_WARNING,
                setting = "documents",
                set,
                "documents: no file belongs to the set `{set}`"
            );
        }
        let committed = prepared.prepared.commit();
        self.0.store(Arc::new(committed.documents));
        let mut notices = prepared.notices;
        for (set, failed) in &committed.failed {
            // An app that is told would read the old ones once more.
            notices.retain(|notice| notice.set != *set || !matches!(failed, Failed::NotShown(_)));
            tell(set, failed);
        }
        for set in committed.changes.keys() {
            let changed = changed(&committed.changes, set);
            if !changed.is_empty() {
                let names = changed.join(", ");
                tracing::info!(
                    event = event::DOCUMENTS_CHANGED,
                    set,
                    changed = names,
                    "documents `{set}`: {names}"
                );
            }
        }
        Committed {
            changes: committed.changes,
            notices,
        }
    }

    /// All of them, without what they say.
    pub fn list(&self) -> DocumentsDocument {
        DocumentsDocument::of(&self.0.load())
    }

    /// What one of them says, and the hash of its text.
    pub fn get(&self, set: &str, name: &str) -> Option<(serde_json::Value, String)> {
        let documents = self.0.load();
        let document = documents.get(set, name)?;
        Some((document.value().clone(), document.hash()))
    }
}

/// Says what is wrong with the folder of a set.
fn tell(set: &str, failed: &Failed) {
    match failed {
        Failed::NotShown(error) => tracing::error!(
            event = event::DOCUMENTS_FAILED,
            set,
            %error,
            "the documents `{set}` could not be laid out: the app sees the old ones"
        ),
        Failed::Partly(error) => tracing::error!(
            event = event::DOCUMENTS_FAILED,
            set,
            %error,
            "the documents `{set}` are laid out, but some names are missing"
        ),
        Failed::Untidy(error) => tracing::warn!(
            event = event::DOCUMENTS_FAILED,
            set,
            %error,
            "the documents `{set}` are laid out, and something of the old ones could not be taken away"
        ),
    }
}

/// The names of those that are other ones than before.
fn changed(changes: &Changes, set: &str) -> Vec<String> {
    let of_set = changes.get(set).into_iter().flatten();
    let changed = of_set.filter(|(_, change)| change.changed);
    changed.map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests;
