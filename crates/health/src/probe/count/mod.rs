//! How many lines of a file are recent: whether something that should write keeps writing.
//!
//! The file is read from its end, and only so far back as the window reaches; never more than 4 MiB, and then the count is said to be
//! at least what was found. A line counts when its time lies in the window: that of a field of a JSON object, or one that
//! the line begins with.

mod tail;
mod time;

use std::sync::Arc;
use std::time::SystemTime;

use schemars::JsonSchema;
use seaworthy_core::quantity::Duration;
use serde::{Deserialize, Serialize};

use super::limits::Floor;
use super::{Around, Fault, Probe};
use crate::{Check, Outcome};
use tail::Tail;

/// Counts the recent lines of a file, such as an audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// The file: JSON objects, one a line, or lines that begin with an RFC 3339 timestamp.
    pub file: String,
    /// How far back a line counts. Default `5m`.
    #[serde(default = "five_minutes")]
    pub window: Duration,
    /// How few lines are too few.
    #[serde(flatten)]
    pub floor: Floor,
    /// The field of a JSON line that holds its time: RFC 3339, or seconds or milliseconds since 1970. Default: the first that is there of
    /// `timestamp`, `time`, `ts`, `@timestamp` and `created_at`.
    #[serde(default)]
    pub field: Option<String>,
}

const fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl Count {
    /// Counts the lines of `file` with all defaults.
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            window: five_minutes(),
            floor: Floor::default(),
            field: None,
        }
    }

    fn look(&self) -> Outcome {
        let tail = Tail {
            field: self.field.as_deref(),
            after: SystemTime::now()
                .checked_sub(self.window.get())
                .unwrap_or(SystemTime::UNIX_EPOCH),
        };
        let counted = match tail.count(self.file.as_ref()) {
            Ok(counted) => counted,
            Err(error) => return Outcome::unhealthy(unreadable(&error)),
        };
        let count = counted.lines;
        let at_least = if counted.cut { "at least " } else { "" };
        let lines = if count == 1 { "line" } else { "lines" };
        let message = format!("{at_least}{count} {lines} in the last {}", self.window);
        if counted.cut {
            // Lines that were not read could only be more.
            return Outcome::healthy(message).with(&self.floor.key, count);
        }
        self.floor.judge(count, message)
    }
}

fn unreadable(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "the file does not exist",
        ErrorKind::PermissionDenied => "the file may not be read",
        ErrorKind::InvalidInput => "it is not a file",
        _ => "the file cannot be read",
    }
}

impl Probe for Count {
    const KIND: &'static str = "count";

    fn faults(&self, _: &Around, faults: &mut Vec<Fault>) {
        if self.file.is_empty() {
            let message = "there is no file";
            faults.push(Fault::new("file", message, "write its path"));
        }
        if self.window.is_zero() {
            let message = "nothing is as recent as that";
            faults.push(Fault::new("window", message, "write it as `5m`"));
        }
        self.floor.faults(faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let count = self.clone();
        super::blocking(Self::KIND, move || count.look())
    }
}
