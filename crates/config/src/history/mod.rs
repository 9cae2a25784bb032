//! The versions of a configuration that there were, kept in SQLite.
//!
//! Each is kept as it was merged, without defaults and with its secrets masked, so the file may be read by whoever may read the
//! configuration. A version is written in one transaction: whoever kills the process at any moment finds it whole or not at all.
//! The number of versions is bounded; the latest good one is never dropped.

mod version;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value as Json;

pub use version::{Entry, New, Verdict, Version};

/// How long another process may hold the file before writing is given up.
const PATIENCE: Duration = Duration::from_secs(2);
/// What this code reads and writes.
const FORMAT: i64 = 1;

/// What is shown of a version among others, in the order that [`version::entry`] wants it.
const ENTRY: &str = "number, at, source, author, hash, verdict, reason, requires_restart, \
     CASE WHEN json_valid(changes) THEN json_array_length(changes) ELSE 0 END";
/// What it has beside that, in the order that [`version::whole`] wants it.
const REST: &str = "changes, record";

/// Why the versions cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file.
    #[error("the file of versions cannot be used: {0}")]
    File(#[from] rusqlite::Error),
    /// It was written by a later version.
    #[error("the file of versions has the format {0}, and this program knows {FORMAT}")]
    Newer(i64),
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct History {
    file: Mutex<Connection>,
    most: u32,
}

impl History {
    /// Opens the file, or makes it, and keeps at most so many versions there.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged or comes from a later version.
    pub fn open(path: &Path, most: u32) -> Result<Self, HistoryError> {
        Self::over(Connection::open(path)?, most)
    }

    /// Keeps versions in memory, for where there is no folder that can be written.
    ///
    /// # Errors
    /// Only for want of memory.
    pub fn in_memory(most: u32) -> Result<Self, HistoryError> {
        Self::over(Connection::open_in_memory()?, most)
    }

    fn over(file: Connection, most: u32) -> Result<Self, HistoryError> {
        file.busy_timeout(PATIENCE)?;
        // A version that was said to be kept is kept when the machine loses its power.
        file.pragma_update(None, "synchronous", "FULL")?;
        let format: i64 = file.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match format {
            0 => file.execute_batch(
                "BEGIN IMMEDIATE;
                 CREATE TABLE IF NOT EXISTS versions (
                     number INTEGER PRIMARY KEY AUTOINCREMENT,
                     at TEXT NOT NULL,
                     source TEXT NOT NULL,
                     author TEXT,
                     hash TEXT NOT NULL,
                     verdict TEXT NOT NULL,
                     reason TEXT,
                     requires_restart TEXT NOT NULL,
                     changes TEXT NOT NULL,
                     record TEXT NOT NULL
                 );
                 PRAGMA user_version = 1;
                 COMMIT;",
            )?,
            FORMAT => {}
            newer => return Err(HistoryError::Newer(newer)),
        }
        Ok(Self {
            file: Mutex::new(file),
            most: most.max(2),
        })
    }

    /// Keeps one more version, and gives its number.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, new: &New) -> Result<u64, HistoryError> {
        let mut file = self.file();
        let change = file.transaction()?;
        change.execute(
            "INSERT INTO versions (at, source, author, hash, verdict, requires_restart, changes, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                new.source,
                new.author,
                new.hash,
                new.verdict.word(),
                Json::from(new.requires_restart.clone()).to_string(),
                new.changes.to_string(),
                new.record.to_string(),
            ],
        )?;
        let number = change.last_insert_rowid();
        change.execute(
            "DELETE FROM versions WHERE number <= ?1 - ?2
             AND number <> (SELECT coalesce(max(number), 0) FROM versions WHERE verdict = 'good')",
            params![number, self.most],
        )?;
        change.commit()?;
        Ok(u64::try_from(number).unwrap_or_default())
    }

    /// Says what a version turned out to be, and why.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn judge(
        &self,
        number: u64,
        verdict: Verdict,
        reason: Option<&str>,
    ) -> Result<(), HistoryError> {
        self.file().execute(
            "UPDATE versions SET verdict = ?2, reason = ?3 WHERE number = ?1",
            params![sql(number), verdict.word(), reason],
        )?;
        Ok(())
    }

    /// All versions without what they hold, the latest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all(&self) -> Result<Vec<Entry>, HistoryError> {
        let file = self.file();
        let mut query = file.prepare(&format!(
            "SELECT {ENTRY} FROM versions ORDER BY number DESC"
        ))?;
        let versions = query.query_map([], version::entry)?;
        Ok(versions.collect::<Result<_, _>>()?)
    }

    /// One version.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&self, number: u64) -> Result<Option<Version>, HistoryError> {
        self.one("number = ?1", params![sql(number)])
    }

    /// The latest version of all.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn latest(&self) -> Result<Option<Version>, HistoryError> {
        self.one("TRUE", [])
    }

    /// The latest version that turned out well.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_good(&self) -> Result<Option<Version>, HistoryError> {
        self.one("verdict = 'good'", [])
    }

    /// The latest version before this one that has another content and was not taken back.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn before(&self, number: u64, hash: &str) -> Result<Option<Version>, HistoryError> {
        self.one(
            "number < ?1 AND hash <> ?2 AND verdict IN ('good', 'superseded')",
            params![sql(number), hash],
        )
    }

    /// The latest version with this content.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_hash(&self, hash: &str) -> Result<Option<Version>, HistoryError> {
        self.one("hash = ?1", params![hash])
    }

    fn one(
        &self,
        which: &str,
        values: impl rusqlite::Params,
    ) -> Result<Option<Version>, HistoryError> {
        let query = format!(
            "SELECT {ENTRY}, {REST} FROM versions WHERE {which} ORDER BY number DESC LIMIT 1"
        );
        let found = self.file().query_row(&query, values, version::whole);
        Ok(found.optional()?)
    }

    fn file(&self) -> MutexGuard<'_, Connection> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers of versions begin at one and never reach the end of what SQLite counts.
fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn new(hash: &str, verdict: Verdict) -> New {
        New {
            source: "api".to_owned(),
            author: Some("ada".to_owned()),
            hash: hash.to_owned(),
            verdict,
            requires_restart: vec!["listen.public".to_owned()],
            changes: json!([{"path": "a"}]),
            record: json!({"a": hash}),
        }
    }

    #[test]
    fn versions_outlive_the_process_and_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        {
            let history = History::open(&path, 10).unwrap();
            assert_eq!(history.add(&new("x", Verdict::Good)).unwrap(), 1);
            assert_eq!(history.add(&new("y", Verdict::Watched)).unwrap(), 2);
            let reason = Some("more requests fail");
            history.judge(2, Verdict::RolledBack, reason).unwrap();
        }
        let history = History::open(&path, 10).unwrap();
        assert_eq!(history.last_good().unwrap().unwrap().number, 1);
        let bad = history.of_hash("y").unwrap().unwrap();
        assert_eq!(bad.verdict, Verdict::RolledBack);
        assert_eq!(bad.reason.as_deref(), Some("more requests fail"));
        assert_eq!(bad.record, json!({"a": "y"}));
        let numbers = history.all().unwrap();
        assert_eq!(
            numbers.iter().map(|one| one.number).collect::<Vec<_>>(),
            [2, 1]
        );
        assert!(history.get(3).unwrap().is_none());
    }

    #[test]
    fn there_is_an_end_to_them_but_not_for_the_last_good_one() {
        let history = History::in_memory(3).unwrap();
        history.add(&new("good", Verdict::Good)).unwrap();
        for round in 0..9 {
            let hash = round.to_string();
            history.add(&new(&hash, Verdict::RolledBack)).unwrap();
        }
        let kept = history.all().unwrap();
        assert_eq!(
            kept.iter().map(|one| one.number).collect::<Vec<_>>(),
            [10, 9, 8, 1]
        );
    }

    #[test]
    fn what_is_no_such_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        std::fs::write(&path, "no database, but long enough to be taken for one").unwrap();
        assert!(History::open(&path, 3).is_err());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("no database"));
        let newer = folder.path().join("newer.db");
        let file = Connection::open(&newer).unwrap();
        file.pragma_update(None, "user_version", 7).unwrap();
        drop(file);
        let error = History::open(&newer, 3).unwrap_err();
        assert!(error.to_string().contains("format 7"), "{error}");
    }
}
