//! One automatic action, told once.
//!
//! Whatever Seaworthy does by itself (restarting the app, giving up, stopping) is described by what happened, what shows it
//! and what comes next. Logs, `status` and the console all show [`Event`]'s one text, so nobody has to reconcile three
//! wordings at night. An event is plain data: it has no time of its own and is written by whoever keeps it.

use std::fmt;

use serde::Serialize;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is as it should be.
    Info,
    /// Something went wrong and was dealt with.
    Warn,
    /// Somebody must act.
    Error,
}

/// One automatic action with cause, evidence and next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The public name, such as `app.restarting`.
    pub name: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What happened, as a clause without a full stop.
    pub cause: String,
    /// What shows it: exit codes, counters, what listens where; may be empty.
    pub evidence: String,
    /// What happens next, or what to do; may be empty.
    pub next: String,
}

impl Event {
    /// An event of level `info` that so far only says what happened.
    pub fn new(name: &'static str, cause: impl Into<String>) -> Event {
        Event {
            name,
            level: Level::Info,
            cause: cause.into(),
            evidence: String::new(),
            next: String::new(),
        }
    }

    /// Sets how much it matters.
    #[must_use]
    pub fn with_level(mut self, level: Level) -> Event {
        self.level = level;
        self
    }

    /// Sets what shows it.
    #[must_use]
    pub fn with_evidence(mut self, evidence: impl Into<String>) -> Event {
        self.evidence = evidence.into();
        self
    }

    /// Sets what comes next.
    #[must_use]
    pub fn with_next(mut self, next: impl Into<String>) -> Event {
        self.next = next.into();
        self
    }
}

impl fmt::Display for Event {
    /// `cause (evidence); next`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if !self.evidence.is_empty() {
            write!(f, " ({})", self.evidence)?;
        }
        if !self.next.is_empty() {
            write!(f, "; {}", self.next)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_cause_evidence_and_next_in_one_line() {
        let event = Event::new("app.restarting", "the app ended")
            .with_level(Level::Warn)
            .with_evidence("exit code 3")
            .with_next("starting it again in 500ms");
        assert_eq!(
            event.to_string(),
            "the app ended (exit code 3); starting it again in 500ms"
        );
        assert_eq!(event.level, Level::Warn);
        assert_eq!(
            Event::new("shutdown.signal", "stopping").to_string(),
            "stopping"
        );
    }
}
