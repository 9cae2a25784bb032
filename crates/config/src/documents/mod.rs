//! An application's own settings: sets of files that are read, held against a JSON Schema, kept, and laid out for the application.
//!
//! ```no_run
//! use std::path::Path;
//! use seaworthy_config::documents::{Documents, Set};
//!
//! let sets = [Set { schema: Some("adapter.schema.json".into()), ..Set::new("adapters", "adapters/*.yaml") }];
//! let prepared = Documents::prepare(Path::new("/etc/shop"), &sets, None)?;    // nothing holds yet
//! let committed = prepared.commit();
//! println!("{}", committed.documents.get("adapters", "csv").expect("there is one").value());
//! # Ok::<(), seaworthy_config::Problems>(())
//! ```
//!
//! [`Documents::prepare`] reads and checks everything and writes what will be laid out beside what is; [`Prepared::commit`] swaps a
//! link for each set and cannot be refused. What has not changed is not parsed again: a document is known by the hash of its
//! content. All that is wrong with all files is told at once, with line and caret.
//!
//! Files are strangers: only plain files are read, with a bound on each and on all of them, and no link may lead out of the
//! folder that they belong to. This module is the one place of the crate that reads folders and writes files.

mod document;
mod file;
mod glob;
mod origins;
mod render;
mod schema;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::Problem;
use crate::problems::Problems;
use crate::source::Sources;

pub use document::Document;
pub use glob::{BadGlob, Glob};
pub use render::Failed;

use file::{Budget, Read};
use origins::Origins;
use render::Staged;
use schema::Schema;

/// A set of documents, as somebody wishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// What it is called.
    pub name: String,
    /// Which files belong to it.
    pub glob: Glob,
    /// The JSON Schema of each of them.
    pub schema: Option<PathBuf>,
    /// The folder that they are laid out in.
    pub render: Option<PathBuf>,
}

impl Set {
    /// A set without a schema that is not laid out.
    ///
    /// # Panics
    /// When `glob` is none; [`Glob`] can be parsed instead.
    #[must_use]
    pub fn new(name: impl Into<String>, glob: &str) -> Self {
        Self {
            name: name.into(),
            glob: glob.parse().expect("a glob"),
            schema: None,
            render: None,
        }
    }
}

/// All documents of all sets. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Documents(BTreeMap<String, Kept>);

/// One set as it was read.
#[derive(Debug, Clone, Default)]
struct Kept {
    schema: Option<Arc<Schema>>,
    documents: BTreeMap<String, Arc<Document>>,
}

/// What became of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Whether its content is another than before.
    pub changed: bool,
    /// Whether it is gone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

/// What became of each document, by set and name.
pub type Changes = BTreeMap<String, BTreeMap<String, Change>>;

/// Documents that were read and found to be as they should.
#[derive(Debug)]
pub struct Checked {
    documents: Documents,
    changes: Changes,
    parsed: usize,
    empty: Vec<String>,
    renders: Vec<(String, PathBuf)>,
}

/// Documents that hold as soon as they are committed. Dropping them leaves everything as it was.
#[derive(Debug)]
pub struct Prepared {
    checked: Checked,
    staged: Vec<(String, Staged)>,
}

/// Documents that hold.
#[derive(Debug)]
pub struct Committed {
    /// All of them.
    pub documents: Documents,
    /// What became of each.
    pub changes: Changes,
    /// Sets whose folder is not as it should be, and why.
    pub failed: Vec<(String, Failed)>,
}

impl Documents {
    /// Reads and checks the files of `sets`, whose relative paths begin in `folder`. What `before` knows is not parsed again.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn check(folder: &Path, sets: &[Set], before: Option<&Self>) -> Result<Checked, Problems> {
        let mut reader = Reader::default();
        let mut documents = Self::default();
        let mut empty = Vec::new();
        for set in sets {
            let known = before.and_then(|before| before.0.get(&set.name));
            let kept = reader.set(folder, set, known);
            if kept.documents.is_empty() {
                empty.push(set.name.clone());
            }
            documents.0.insert(set.name.clone(), kept);
        }
        let parsed = reader.parsed;
        if !reader.problems.is_empty() {
            return Err(Problems::new(reader.problems, reader.sources));
        }
        let render = |set: &Set| Some((set.name.clone(), folder.join(set.render.as_ref()?)));
        Ok(Checked {
            changes: changes(&documents, before),
            documents,
            parsed,
            empty,
            renders: sets.iter().filter_map(render).collect(),
        })
    }

    /// The same, and writes what will be laid out beside what is.
    ///
    /// # Errors
    /// Everything that is wrong with any file, or with a folder to write to.
    pub fn prepare(
        folder: &Path,
        sets: &[Set],
        before: Option<&Self>,
    ) -> Result<Prepared, Problems> {
        Self::check(folder, sets, before)?.stage()
    }

    /// The names of the sets, sorted.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The documents of a set, sorted by name; none where there is no such set.
    pub fn of(&self, set: &str) -> impl Iterator<Item = &Document> {
        let kept = self.0.get(set).into_iter();
        kept.flat_map(|kept| kept.documents.values().map(Arc::as_ref))
    }

    /// One document.
    #[must_use]
    pub fn get(&self, set: &str, name: &str) -> Option<&Document> {
        let document = self.0.get(set)?.documents.get(name)?;
        Some(document)
    }
}

impl Checked {
    /// What becomes of each document.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How many files had to be parsed.
    #[must_use]
    pub fn parsed(&self) -> usize {
        self.parsed
    }

    /// The sets that no file belongs to.
    pub fn empty(&self) -> impl Iterator<Item = &str> {
        self.empty.iter().map(String::as_str)
    }

    /// Writes what will be laid out beside what is.
    ///
    /// # Errors
    /// What is wrong with the folders to write to, all at once.
    pub fn stage(self) -> Result<Prepared, Problems> {
        let (mut staged, mut problems) = (Vec::new(), Vec::new());
        for (set, folder) in &self.renders {
            let documents: Vec<&Document> = self.documents.of(set).collect();
            match Staged::write(folder, &documents) {
                Ok(one) => staged.push((set.clone(), one)),
                Err(why) => problems.push(Problem::error(format!(
                    "documents `{set}` cannot be laid out in {}: {why}",
                    folder.display()
                ))),
            }
        }
        if !problems.is_empty() {
            return Err(Problems::new(problems, Sources::default()));
        }
        Ok(Prepared {
            checked: self,
            staged,
        })
    }
}

impl Prepared {
    /// What was read.
    #[must_use]
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    /// Lets them hold: the folders show the new ones from now on.
    #[must_use]
    pub fn commit(self) -> Committed {
        let commit = |(set, staged): (String, Staged)| Some((set, staged.commit().err()?));
        Committed {
            documents: self.checked.documents,
            changes: self.checked.changes,
            failed: self.staged.into_iter().filter_map(commit).collect(),
        }
    }
}

fn changes(now: &Documents, before: Option<&Documents>) -> Changes {
    let nothing = Documents::default();
    let before = before.unwrap_or(&nothing);
    let mut changes = Changes::new();
    for set in now.sets().chain(before.sets()) {
        let of_set = changes.entry(set.to_owned()).or_default();
        for document in now.of(set) {
            let old = before.get(set, document.name());
            let changed = old.is_none_or(|old| old.hash() != document.hash());
            let change = Change {
                changed,
                removed: false,
            };
            of_set.insert(document.name().to_owned(), change);
        }
        for old in before.of(set) {
            let gone = Change {
                changed: true,
                removed: true,
            };
            of_set.entry(old.name().to_owned()).or_insert(gone);
        }
    }
    changes
}

/// Reads all sets, and gathers what is wrong.
#[derive(Default)]
struct Reader {
    budget: Budget,
    sources: Sources,
    problems: Vec<Problem>,
    parsed: usize,
}

impl Reader {
    fn set(&mut self, folder: &Path, set: &Set, known: Option<&Kept>) -> Kept {
        let compiled = known.and_then(|known| known.schema.as_ref());
        let schema = set.schema.as_ref();
        let schema = schema.and_then(|file| self.schema(folder, file, compiled));
        let mut kept = Kept {
            schema,
            documents: BTreeMap::new(),
        };
        let files = match file::matching(folder, &set.glob, &mut self.budget) {
            Ok(files) => files,
            Err(faults) => {
                let fault = |fault| Problem::error(format!("documents `{}`: {fault}", set.name));
                self.problems.extend(faults.into_iter().map(fault));
                return kept;
            }
        };
        for read in files {
            let known = known.and_then(|known| known.documents.get(&read.name));
            let Some(document) = self.document(&read, kept.schema.as_ref(), known) else {
                continue;
            };
            if let Some(other) = kept.documents.insert(read.name.clone(), document) {
                let what = format!(
                    "documents `{}`: {} and {} would both be called `{}`",
                    set.name,
                    other.file(),
                    read.shown,
                    read.name
                );
                self.problems.push(Problem::error(what));
            }
        }
        kept
    }

    fn schema(
        &mut self,
        folder: &Path,
        path: &Path,
        known: Option<&Arc<Schema>>,
    ) -> Option<Arc<Schema>> {
        let read = match file::single(folder, path, &mut self.budget) {
            Ok(read) => read,
            Err(fault) => {
                self.problems.push(Problem::error(fault));
                return None;
            }
        };
        if let Some(known) = known.filter(|known| known.hash() == read.hash) {
            return Some(known.clone());
        }
        let mut origins = Origins::new(&mut self.sources, &mut self.problems);
        let schema = Schema::read(&read, &mut origins)?;
        Some(Arc::new(schema))
    }

    fn document(
        &mut self,
        read: &Read,
        schema: Option<&Arc<Schema>>,
        known: Option<&Arc<Document>>,
    ) -> Option<Arc<Document>> {
        let schema_hash = schema.map(|schema| schema.hash());
        let is_same = |known: &&Arc<Document>| known.is(read, schema_hash);
        if let Some(known) = known.filter(is_same) {
            return Some(known.clone());
        }
        self.parsed += 1;
        let mut origins = Origins::new(&mut self.sources, &mut self.problems);
        let document = Document::read(read, schema.map(Arc::as_ref), &mut origins)?;
        Some(Arc::new(document))
    }
}
