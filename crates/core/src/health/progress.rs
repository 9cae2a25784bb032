//! Whether the app gets anywhere, judged by what passes and not by a ping.
//!
//! A process that accepts connections and answers pings can have been dead for hours: its event loop blocked, its pool of
//! database connections gone. What it cannot do is answer the requests that wait for it. So the app is stalled when requests
//! have waited without a pause for long enough and not one was answered well. An app that nobody asks is never stalled, and a slow
//! one that still answers something is not either.

use std::time::{Duration, Instant};

/// What was seen of the app's requests since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests that wait for the app right now.
    pub waiting: u64,
    /// Signs of progress since the last look: answers that are not the app's or a gateway's error, and bytes of bodies.
    pub progress: u64,
    /// Answers since the last look that say the app failed (5xx), or that it never answered.
    pub failures: u64,
}

/// Follows the app's progress from look to look.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since when work has been asked for and none was done.
    since: Option<Instant>,
    failures: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Nothing has been seen yet.
    pub const fn new() -> Self {
        Self {
            since: None,
            failures: 0,
        }
    }

    /// Takes in what was seen at `now`.
    pub fn look(&mut self, now: Instant, seen: Seen) {
        if seen.progress > 0 {
            *self = Self::new();
        } else if seen.waiting > 0 || seen.failures > 0 {
            self.since.get_or_insert(now);
            self.failures += seen.failures;
        } else if self.failures == 0 {
            // Whoever waited has left and nothing failed: there is nothing to judge by.
            self.since = None;
        }
    }

    /// For how long the app has got nowhere at `now`; zero when it gets somewhere, or nobody asks.
    pub fn stalled_for(&self, now: Instant) -> Duration {
        self.since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Failures since progress stopped.
    pub fn failures(&self) -> u64 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn stalled(looks: &[Seen]) -> Duration {
        let start = Instant::now();
        let mut progress = Progress::new();
        let mut now = start;
        for seen in looks {
            now += SECOND;
            progress.look(now, *seen);
        }
        progress.stalled_for(now)
    }

    const WAITING: Seen = Seen {
        waiting: 3,
        progress: 0,
        failures: 0,
    };
    const FAILING: Seen = Seen {
        waiting: 0,
        progress: 0,
        failures: 2,
    };
    const IDLE: Seen = Seen {
        waiting: 0,
        progress: 0,
        failures: 0,
    };
    const MOVING: Seen = Seen {
        waiting: 3,
        progress: 1,
        failures: 5,
    };

    #[test]
    fn waiting_without_progress_is_a_stall() {
        assert_eq!(stalled(&[WAITING; 5]), 4 * SECOND);
        assert_eq!(
            stalled(&[WAITING, WAITING, MOVING, WAITING]),
            Duration::ZERO
        );
        assert_eq!(stalled(&[WAITING, MOVING, WAITING, WAITING]), SECOND);
    }

    #[test]
    fn an_app_that_only_fails_gets_nowhere_also_between_its_failures() {
        assert_eq!(stalled(&[FAILING, IDLE, FAILING, IDLE]), 3 * SECOND);
    }

    #[test]
    fn an_idle_app_is_never_stalled() {
        assert_eq!(stalled(&[IDLE; 100]), Duration::ZERO);
        assert_eq!(stalled(&[WAITING, IDLE, IDLE]), Duration::ZERO);
    }
}
