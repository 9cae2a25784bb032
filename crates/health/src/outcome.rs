//! What one run of a check found.

use seaworthy_core::health::{State, Status};
use serde_json::{Map, Value};

/// Further facts about a component: versions, counts, latencies. Never a secret.
pub type Metadata = Map<String, Value>;

/// A message longer than this is cut: a component says one sentence.
const LONGEST_MESSAGE: usize = 200;

/// The result of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was found.
    pub state: State,
    /// A word that the check insists on; otherwise the policy of the check words the state.
    pub word: Option<Status>,
    /// One sentence for people, safe to show.
    pub message: String,
    /// Facts for people and dashboards.
    pub metadata: Metadata,
}

impl Outcome {
    fn new(state: State, message: impl Into<String>) -> Self {
        Self {
            state,
            word: None,
            message: one_line(message.into()),
            metadata: Metadata::new(),
        }
    }

    /// It works.
    pub fn healthy(message: impl Into<String>) -> Self {
        Self::new(State::Ok, message)
    }

    /// It works, and somebody should look at it.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self::new(State::Warn, message)
    }

    /// It does not work.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self::new(State::Fail, message)
    }

    /// It did not answer in time.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(State::TimedOut, message)
    }

    /// It cannot be told.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(State::Unknown, message)
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a fact, if it is known.
    #[must_use]
    pub(crate) fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Insists on a word, whatever the policy of the check says. The state decides about the gate all the same.
    #[must_use]
    pub fn worded(mut self, word: Status) -> Self {
        self.word = Some(word);
        self
    }
}

/// Drivers report over several lines, and some repeat what the other side sent: one line of bounded length remains.
fn one_line(message: String) -> String {
    let is_fine = |c: char| !c.is_control();
    if message.len() <= LONGEST_MESSAGE && message.chars().all(is_fine) {
        return message;
    }
    let mut line: String = message
        .chars()
        .map(|c| if is_fine(c) { c } else { ' ' })
        .take(LONGEST_MESSAGE)
        .collect();
    if line.chars().count() == LONGEST_MESSAGE {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_bounded_line() {
        let outcome = Outcome::unhealthy("refused\nDETAIL:\tx".to_owned());
        assert_eq!(outcome.message, "refused DETAIL: x");
        let long = Outcome::unhealthy("ä".repeat(1000)).message;
        assert_eq!(long.chars().count(), LONGEST_MESSAGE);
        assert!(long.ends_with('…'));
    }
}
