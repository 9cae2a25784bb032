//! What came of the requests: how many of each status, in which order, and how long they took.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use http::{HeaderMap, HeaderName};

use super::connection::{Answer, Lost};
use super::latency::Latency;

/// So many runs are shown from the beginning, and as many from the end.
const RUNS: usize = 8;

/// Requests one after the other that came to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The status, or nothing where there was no answer.
    pub(super) status: Option<u16>,
    pub(super) count: u64,
}

/// The runs, in the order in which the answers came. Those in the middle are only counted.
#[derive(Debug, Default)]
pub(super) struct Runs {
    pub(super) first: Vec<Run>,
    pub(super) last: VecDeque<Run>,
    pub(super) left_out: u64,
}

impl Runs {
    fn record(&mut self, status: Option<u16>) {
        let current = match self.last.back_mut() {
            None => self.first.last_mut(),
            current => current,
        };
        match current {
            Some(run) if run.status == status => run.count += 1,
            _ => self.begin(Run { status, count: 1 }),
        }
    }

    fn begin(&mut self, run: Run) {
        if self.first.len() < RUNS {
            self.first.push(run);
            return;
        }
        if self.last.len() == RUNS {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(run);
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) lost: BTreeMap<&'static str, u64>,
    /// In words, the first request without an answer.
    pub(super) reason: Option<String>,
    pub(super) runs: Runs,
    pub(super) latency: Latency,
    pub(super) bytes: u64,
    /// Answers that bear each of the fields that are looked for.
    pub(super) fields: Vec<(HeaderName, u64)>,
    pub(super) took: Duration,
    /// Whether somebody ended it before its time.
    pub(super) interrupted: bool,
}

impl Tally {
    pub(super) fn new(fields: &[HeaderName]) -> Self {
        let fields = fields.iter().map(|name| (name.clone(), 0)).collect();
        Self {
            fields,
            ..Self::default()
        }
    }

    /// Requests that were answered.
    pub(super) fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Requests that were not.
    pub(super) fn unanswered(&self) -> u64 {
        self.lost.values().sum()
    }

    pub(super) fn record(&mut self, outcome: &Result<Answer, Lost>, took: Duration) {
        match outcome {
            Ok((head, length)) => {
                let status = head.status().as_u16();
                *self.statuses.entry(status).or_default() += 1;
                self.bytes += length;
                self.latency.record(took);
                self.look(head.headers());
                self.runs.record(Some(status));
            }
            Err(lost) => {
                *self.lost.entry(lost.word()).or_default() += 1;
                self.reason.get_or_insert_with(|| lost.to_string());
                self.runs.record(None);
            }
        }
    }

    fn look(&mut self, headers: &HeaderMap) {
        for (name, found) in &mut self.fields {
            *found += u64::from(headers.contains_key(name.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_from_both_ends() {
        let mut runs = Runs::default();
        for _ in 0..100 {
            runs.record(Some(200));
        }
        runs.record(Some(429));
        assert_eq!(runs.first.len(), 2);
        assert_eq!(runs.first[0].count, 100);
        for _ in 0..20 {
            runs.record(None);
            runs.record(Some(200));
        }
        assert_eq!((runs.first.len(), runs.last.len()), (RUNS, RUNS));
        assert_eq!(runs.left_out, 42 - 2 * RUNS as u64);
        let last = runs.last.back().copied();
        assert_eq!(last.and_then(|run| run.status), Some(200));
    }
}
