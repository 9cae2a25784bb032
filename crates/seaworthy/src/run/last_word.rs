//! Why the process ended, in a file that outlives it.
//!
//! Kubernetes shows what it finds in `/dev/termination-log` with the state of a container, so whoever asks why a pod was
//! restarted need not look for its log. One JSON document, at most as long as Kubernetes reads. It must never change or
//! delay the end: only a regular file is written, and a failure is a line in the log.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::OFlags;
use seaworthy_config::Problems;
use seaworthy_core::names::event;
use seaworthy_lifecycle::journal::Journal;
use serde::Serialize;

use crate::config::shutdown::TerminationLog;
use crate::failure::Failure;

/// Where Kubernetes looks unless the pod says otherwise.
const USUAL: &str = "/dev/termination-log";
/// Kubernetes reads no more of it.
const MOST: usize = 4096;

/// The place for the last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWord {
    path: Option<PathBuf>,
    /// Whether the file is made when there is none; the usual one is the platform's to make.
    make: bool,
}

#[derive(Debug, Serialize)]
struct Word<'a> {
    reason: &'a str,
    exit_code: u8,
    message: &'a str,
    at: String,
}

impl LastWord {
    /// Where `setting` says, or the usual place.
    pub fn of(setting: Option<&TerminationLog>) -> Self {
        let (path, make) = match setting {
            None => (Some(PathBuf::from(USUAL)), false),
            Some(TerminationLog::Off) => (None, false),
            Some(TerminationLog::At(path)) => (Some(path.clone()), true),
        };
        Self { path, make }
    }

    /// It never served: `error` is the reason.
    pub fn not_started(&self, error: &anyhow::Error) {
        match error.downcast_ref::<Problems>() {
            // Without the lines of the file, which may hold what only the log's readers may see.
            Some(problems) => {
                let told: Vec<_> = problems
                    .items()
                    .iter()
                    .map(|problem| format!("{}: {}", problem.path, problem.message))
                    .collect();
                self.say("not_started", 2, &told.join("\n"));
            }
            None => self.say(
                "not_started",
                Failure::code_of(error),
                &format!("{error:#}"),
            ),
        }
    }

    /// It was asked to stop, by `by`, and has.
    pub(super) fn stopped(&self, by: &str, code: u8, journal: &Journal) {
        let came_to = latest(journal, event::SHUTDOWN_COMPLETE);
        self.say("stopped", code, &format!("asked by {by}: {came_to}"));
    }

    /// The app ended, and is not started again.
    pub(super) fn app_ended(&self, code: u8, journal: &Journal) {
        self.say("app_ended", code, &latest(journal, "app."));
    }

    fn say(&self, reason: &str, exit_code: u8, message: &str) {
        let Some(path) = &self.path else { return };
        let text = bounded(Word {
            reason,
            exit_code,
            message,
            at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        match write(path, self.make, &text) {
            Err(error) if self.make || error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(event = event::CONFIG_WARNING, %error, path = %path.display(), "the last word could not be written; set shutdown.termination_log to a file that can be, or to `off`");
            }
            _ => {}
        }
    }
}

/// What the newest event whose name begins with `prefix` says.
fn latest(journal: &Journal, prefix: &str) -> String {
    let recent = journal.recent();
    let found = recent
        .iter()
        .rev()
        .find(|entry| entry.event.name.starts_with(prefix));
    found.map_or_else(String::new, |entry| entry.event.to_string())
}

/// The document, its message cut until it fits.
fn bounded(mut word: Word<'_>) -> String {
    loop {
        let text = serde_json::to_string(&word).expect("texts and a number");
        if text.len() <= MOST || word.message.is_empty() {
            return text;
        }
        // An escaped byte takes at most six, so this never cuts off more than it has to.
        let least = (text.len() - MOST).div_ceil(6);
        let end = word.message.len().saturating_sub(least);
        let whole = |at: &usize| word.message.is_char_boundary(*at);
        word.message = &word.message[..(0..=end).rev().find(whole).unwrap_or(0)];
    }
}

/// Replaces what is in the file. A pipe that nobody reads, or a terminal, would hold up the end.
fn write(path: &Path, make: bool, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(make)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_stays_json() {
        for message in ["x".repeat(9000), "\u{1}é\"".repeat(5000), String::new()] {
            let text = bounded(Word {
                reason: "stopped",
                exit_code: 0,
                message: &message,
                at: String::new(),
            });
            assert!(text.len() <= MOST, "{}", text.len());
            let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
            let kept = kept["message"].as_str().unwrap();
            assert!(message.starts_with(kept));
            assert!(message.is_empty() || text.len() > MOST - 12, "cut too much");
        }
    }

    #[test]
    fn the_usual_file_is_never_made() {
        assert!(!LastWord::of(None).make);
        let off = LastWord::of(Some(&TerminationLog::Off));
        assert_eq!(off.path, None);
    }
}
