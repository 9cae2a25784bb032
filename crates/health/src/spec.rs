//! A check together with when and how it counts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::health::{About, Status, Steadiness, Weight, Words};

use crate::Check;

/// How often a check runs, and what its results mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// How much it matters.
    pub weight: Weight,
    /// What it looks at.
    pub about: About,
    /// How results are worded.
    pub words: Words,
    /// Time from the beginning of one run to the next, at least [`Policy::SHORTEST_INTERVAL`]; a tenth of it is left to chance,
    /// so that replicas do not ask in step.
    pub interval: Duration,
    /// A run that takes longer is a failure.
    pub timeout: Duration,
    /// Time to the next run after a result that is worse than what is shown.
    pub recheck: Duration,
    /// Results in a row that it takes to change what is shown.
    pub steadiness: Steadiness,
    /// Time before the first run.
    pub initial_delay: Duration,
    /// A run that succeeds but takes longer is `degraded`.
    pub degraded_after: Option<Duration>,
}

impl Policy {
    /// Looking more often would be load, not a check.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
}

impl Default for Policy {
    /// Every 5 s for at most 2 s, again after 1.5 s when in doubt, down after 2 failures, up after 1 success.
    fn default() -> Self {
        Self {
            weight: Weight::Critical,
            about: About::Dependency,
            words: Words::default(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            recheck: Duration::from_millis(1500),
            steadiness: Steadiness::default(),
            initial_delay: Duration::ZERO,
            degraded_after: None,
        }
    }
}

/// A check with its name and its policy.
#[derive(Clone)]
pub struct Spec {
    /// The name under which it is shown.
    pub name: String,
    /// What looks.
    pub check: Arc<dyn Check>,
    /// When it looks, and what it means.
    pub policy: Policy,
}

impl Spec {
    /// A critical check with the default policy.
    pub fn new(name: impl Into<String>, check: impl Check) -> Self {
        Self {
            name: name.into(),
            check: Arc::new(check),
            policy: Policy::default(),
        }
    }

    /// The service works without it: a failure degrades and leaves the gate open.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.policy.weight = Weight::Optional;
        self
    }

    /// All replicas share it: a failure degrades, or the whole service would leave the balancer at once.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.policy.weight = Weight::Shared;
        self
    }

    /// Runs every `interval`.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.policy.interval = interval;
        self
    }

    /// Gives up after `timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.policy.timeout = timeout;
        self
    }

    /// Counts as degraded when it takes longer than `limit`.
    #[must_use]
    pub fn degraded_after(mut self, limit: Duration) -> Self {
        self.policy.degraded_after = Some(limit);
        self
    }

    /// Words a failure.
    #[must_use]
    pub fn on_error(mut self, word: Status) -> Self {
        self.policy.words.on_error = Some(word);
        self
    }

    /// Takes so many results in a row to change what is shown.
    #[must_use]
    pub fn steadiness(mut self, rise: u32, fall: u32) -> Self {
        self.policy.steadiness = Steadiness { rise, fall };
        self
    }
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("name", &self.name)
            .field("kind", &self.check.kind())
            .field("policy", &self.policy)
            .finish()
    }
}
