//! The latest events, logged and kept.
//!
//! `status` and the console show what the log shows, in the same words, without reading the log. The journal keeps the last
//! few hundred; whatever is older is in the log alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use seaworthy_core::event::{Event, Level};

/// How many are kept.
const KEPT: usize = 256;

/// One event and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was recorded.
    pub at: SystemTime,
    /// What happened.
    pub event: Event,
}

/// The latest events; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<VecDeque<Entry>>>);

impl Journal {
    /// An empty journal.
    pub fn new() -> Journal {
        Journal::default()
    }

    /// Logs an event and keeps it.
    pub fn record(&self, event: Event) {
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    event = event.name,
                    cause = event.cause,
                    evidence = (!event.evidence.is_empty()).then_some(event.evidence.as_str()),
                    next = (!event.next.is_empty()).then_some(event.next.as_str()),
                    "{event}"
                )
            };
        }
        match event.level {
            Level::Info => log!(info),
            Level::Warn => log!(warn),
            Level::Error => log!(error),
        }
        self.keep(event);
    }

    /// Keeps an event that its author has logged with fields of its own.
    pub(crate) fn keep(&self, event: Event) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(Entry {
            at: SystemTime::now(),
            event,
        });
    }

    /// What is kept, oldest first.
    pub fn recent(&self) -> Vec<Entry> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_latest() {
        let journal = Journal::new();
        for number in 0..KEPT + 10 {
            journal.record(Event::new("app.ready", number.to_string()));
        }
        let recent = journal.recent();
        assert_eq!(recent.len(), KEPT);
        assert_eq!(recent[0].event.cause, "10");
        assert!(recent.is_sorted_by_key(|entry| entry.at));
    }
}
