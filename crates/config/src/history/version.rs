//! One version, as it is kept and shown.

use std::ops::Deref;

use rusqlite::Row;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

/// What a version turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds, and is watched.
    Watched,
    /// It did no harm.
    Good,
    /// Another one came before that was known.
    Superseded,
    /// It was taken back.
    RolledBack,
}

impl Verdict {
    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Good => "good",
            Self::Superseded => "superseded",
            Self::RolledBack => "rolled_back",
        }
    }

    fn of(word: &str) -> Self {
        let all = [Self::Watched, Self::Good, Self::RolledBack];
        let known = all.into_iter().find(|verdict| verdict.word() == word);
        known.unwrap_or(Self::Superseded)
    }
}

/// A version that is to be kept.
#[derive(Debug, Clone)]
pub struct New {
    /// Where the wish came from.
    pub source: String,
    /// Who had it.
    pub author: Option<String>,
    /// The hash of the content.
    pub hash: String,
    /// What is known of it already.
    pub verdict: Verdict,
    /// Settings that hold only after a restart.
    pub requires_restart: Vec<String>,
    /// What differs from the one before.
    pub changes: Json,
    /// The configuration itself, secrets masked.
    pub record: Json,
}

/// A version among others.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Entry {
    /// Its number; it never comes again.
    pub number: u64,
    /// When it began to hold, as RFC 3339.
    pub at: String,
    /// Where the wish came from: `start`, `signal`, `api`, `endpoint`, `file`, `secret`, `rollback` or `verify`.
    pub source: String,
    /// Who had it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Equal for equal content.
    pub hash: String,
    /// What it turned out to be.
    pub verdict: Verdict,
    /// Why it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Settings that hold only after a restart.
    pub requires_restart: Json,
    /// How many settings differ from the one before.
    pub change_count: u32,
}

/// A version that is kept, whole.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Version {
    /// What is shown of it among others.
    #[serde(flatten)]
    pub entry: Entry,
    /// What differs from the one before.
    pub changes: Json,
    /// The configuration itself, without defaults; secrets are masked.
    pub record: Json,
}

impl Deref for Version {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl Entry {
    /// Why it was taken back, in words.
    #[must_use]
    pub fn why(&self) -> &str {
        self.reason.as_deref().unwrap_or("by hand")
    }
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let number: i64 = row.get(0)?;
    let verdict: String = row.get(5)?;
    Ok(Entry {
        number: u64::try_from(number).unwrap_or_default(),
        at: row.get(1)?,
        source: row.get(2)?,
        author: row.get(3)?,
        hash: row.get(4)?,
        verdict: Verdict::of(&verdict),
        reason: row.get(6)?,
        requires_restart: json(row, 7)?,
        change_count: row.get(8)?,
    })
}

pub(super) fn whole(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        entry: entry(row)?,
        changes: json(row, 9)?,
        record: json(row, 10)?,
    })
}

fn json(row: &Row<'_>, place: usize) -> rusqlite::Result<Json> {
    let text: String = row.get(place)?;
    // What was written was JSON; a file that somebody damaged shows nothing there.
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
