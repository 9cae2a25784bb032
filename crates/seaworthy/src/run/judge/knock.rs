//! Asks the app itself for something now and then, so that one that nobody asks is judged too.
//!
//! Any answer will do, a 404 included: it shows that somebody takes requests and works on them. No answer is a request that
//! waits; an answer is no progress, because a wedged app can give it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::standing::Alive;
use crate::instance::client::{Question, call};

/// What the app is asked for, how often, and who has not answered.
#[derive(Debug)]
pub(super) struct Knock {
    path: String,
    every: Duration,
    timeout: Duration,
    last: Option<Instant>,
    unanswered: Arc<Mutex<BTreeSet<u64>>>,
}

impl Knock {
    /// Asks for `path`.
    pub(super) fn new(path: String) -> Self {
        Self {
            path,
            every: Duration::ZERO,
            timeout: Duration::ZERO,
            last: None,
            unanswered: Arc::default(),
        }
    }

    /// Asks so often from now on, and gives up on an answer after `timeout`.
    pub(super) fn pace(&mut self, every: Duration, timeout: Duration) {
        (self.every, self.timeout) = (every, timeout);
    }

    /// Asks everybody who can be asked, if it is time.
    pub(super) fn knock(&mut self, now: Instant, alive: &[Alive]) {
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < self.every)
        {
            return;
        }
        self.last = Some(now);
        let is_listed = |id: &u64| alive.iter().any(|one| one.id == *id);
        self.unanswered().retain(is_listed);
        for (id, address) in alive
            .iter()
            .filter_map(|one| Some((one.id, one.address.clone()?)))
        {
            let (path, timeout, unanswered) =
                (self.path.clone(), self.timeout, self.unanswered.clone());
            tokio::spawn(async move {
                let answer = call(&address, Question::get(&path), timeout).await;
                let mut unanswered = unanswered.lock().unwrap_or_else(PoisonError::into_inner);
                if answer.is_ok() {
                    unanswered.remove(&id);
                } else {
                    unanswered.insert(id);
                }
            });
        }
    }

    /// Whether the endpoint has not answered the last time.
    pub(super) fn is_unanswered_by(&self, endpoint: u64) -> bool {
        self.unanswered().contains(&endpoint)
    }

    fn unanswered(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
