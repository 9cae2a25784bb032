//! What a process wrote: kept in files, so that a full pipe can never stop the process under test.

use std::fs::File;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

/// How much of the output of a failed test is shown.
const TAIL: usize = 16 * 1024;

/// The captured standard output and error of one process.
#[derive(Debug)]
pub struct Output {
    folder: TempDir,
}

impl Output {
    pub(super) fn new() -> crate::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
        })
    }

    pub(super) fn stdout_file(&self) -> crate::Result<File> {
        Ok(File::create(self.path("stdout"))?)
    }

    pub(super) fn stderr_file(&self) -> crate::Result<File> {
        Ok(File::create(self.path("stderr"))?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All of its standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// All of its standard output so far, unchanged.
    #[must_use]
    pub fn stdout_bytes(&self) -> Vec<u8> {
        std::fs::read(self.path("stdout")).unwrap_or_default()
    }

    /// All of its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// The JSON objects among the lines of standard error.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        records(&self.stderr())
    }

    /// The records of the event `name`.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Value> {
        let mut records = self.records();
        records.retain(|record| event(record) == Some(name));
        records
    }

    /// The end of both streams, for a person.
    pub(super) fn tail(&self) -> String {
        ["stdout", "stderr"]
            .map(|name| format!("[{name}]\n{}", last(&self.read(name))))
            .join("\n")
    }
}

/// The name of the event that a log record tells of.
fn event(record: &Value) -> Option<&str> {
    record
        .get("event")
        .or_else(|| record.pointer("/fields/event"))
        .and_then(Value::as_str)
}

fn records(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| line.starts_with('{'))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn last(text: &str) -> &str {
    let start = text.len().saturating_sub(TAIL);
    let start = (start..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[start.unwrap_or_default()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_events_between_other_lines() {
        let text =
            "INFO: app says\n{\"event\":\"a\",\"n\":1}\n{broken\n{\"fields\":{\"event\":\"b\"}}\n";
        let records = records(text);
        let names: Vec<_> = records.iter().map(event).collect();
        assert_eq!(names, [Some("a"), Some("b")]);
    }

    #[test]
    fn the_tail_starts_at_a_character() {
        let text = "ä".repeat(TAIL);
        assert_eq!(last(&text).len(), TAIL);
        assert_eq!(last(&format!("{text}x")).len(), TAIL - 1);
    }
}
