//! Whether the app gets anywhere, judged by what passes and not by a ping.
//!
//! A process that accepts connections and answers pings can have been dead for hours: its event loop blocked, its pool of
//! database connections gone. What it cannot do is answer the requests that wait for it. So the app is stalled when for long
//! enough requests have waited or failed and not one was answered well. An app that nobody asks is never stalled, one that
//! still answers something is not either, and a single request that fails says nothing of the others.

use std::time::{Duration, Instant};

/// Without anybody waiting, fewer failures than this are taken for bad requests and not for a bad app.
const TELLING_FAILURES: u64 = 5;

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

/// The time in which the app has got nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// From the first sign of it to the last.
    pub lasted: Duration,
    /// Requests that waited at the last look.
    pub waiting: u64,
    /// Requests that failed in that time.
    pub failures: u64,
}

/// Follows the app's progress from look to look.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    limit: Duration,
    /// The first and the last look at which work was asked for and none was done.
    nowhere: Option<(Instant, Instant)>,
    waiting: u64,
    failures: u64,
    ever: bool,
}

impl Progress {
    /// Nothing has been seen yet of an app that is stalled when it gets nowhere for `limit`.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            nowhere: None,
            waiting: 0,
            failures: 0,
            ever: false,
        }
    }

    /// Lets it get nowhere for `limit` from now on, what has passed of that included.
    pub const fn allow(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Takes in what was seen at `now`.
    pub fn look(&mut self, now: Instant, seen: Seen) {
        let forgotten = self
            .nowhere
            .is_some_and(|(_, last)| now.saturating_duration_since(last) > self.limit);
        // Whoever waited has left, and nothing failed: there is nothing to judge by.
        let given_up = seen.waiting == 0 && seen.failures == 0 && self.failures == 0;
        if seen.progress > 0 || forgotten || given_up {
            self.ever |= seen.progress > 0;
            self.nowhere = None;
            self.failures = 0;
        }
        self.waiting = seen.waiting;
        if seen.progress == 0 && (seen.waiting > 0 || seen.failures > 0) {
            self.failures += seen.failures;
            let (first, _) = self.nowhere.unwrap_or((now, now));
            self.nowhere = Some((first, now));
        }
    }

    /// The time in which it has got nowhere so far, however short.
    pub fn pause(&self) -> Option<Stall> {
        let (first, last) = self.nowhere?;
        Some(Stall {
            lasted: last.saturating_duration_since(first),
            waiting: self.waiting,
            failures: self.failures,
        })
    }

    /// The stall, once it has lasted for the limit and enough requests show it.
    pub fn stall(&self) -> Option<Stall> {
        self.pause().filter(|stall| {
            stall.lasted >= self.limit && (stall.waiting > 0 || stall.failures >= TELLING_FAILURES)
        })
    }

    /// Whether there has been any progress since the beginning.
    pub const fn ever(&self) -> bool {
        self.ever
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One look each second, with a limit of three.
    fn after(looks: &[Seen]) -> Progress {
        let start = Instant::now();
        let mut progress = Progress::new(3 * SECOND);
        for (seen, second) in looks.iter().zip(1..) {
            progress.look(start + SECOND * second, *seen);
        }
        progress
    }

    fn lasted(looks: &[Seen]) -> Option<Duration> {
        after(looks).pause().map(|pause| pause.lasted)
    }

    const fn seen(waiting: u64, progress: u64, failures: u64) -> Seen {
        Seen {
            waiting,
            progress,
            failures,
        }
    }

    const WAITING: Seen = seen(3, 0, 0);
    const FAILING: Seen = seen(0, 0, 2);
    const IDLE: Seen = seen(0, 0, 0);
    const MOVING: Seen = seen(3, 1, 5);

    #[test]
    fn waiting_without_progress_is_a_stall() {
        assert_eq!(after(&[WAITING; 3]).stall(), None);
        let stall = after(&[WAITING; 4]).stall().expect("a stall");
        assert_eq!(
            (stall.lasted, stall.waiting, stall.failures),
            (3 * SECOND, 3, 0)
        );
        assert_eq!(lasted(&[WAITING, WAITING, MOVING]), None);
        assert_eq!(lasted(&[WAITING, MOVING, WAITING, WAITING]), Some(SECOND));
    }

    #[test]
    fn an_app_that_only_fails_gets_nowhere_also_between_its_failures() {
        assert_eq!(lasted(&[FAILING, IDLE, FAILING, IDLE]), Some(2 * SECOND));
        assert!(after(&[FAILING, IDLE, FAILING, FAILING]).stall().is_some());
    }

    #[test]
    fn a_single_failure_stays_what_it_is() {
        let once = seen(0, 0, 1);
        assert_eq!(after(&[once, IDLE, IDLE, once]).stall(), None);
        // And it is forgotten when nothing follows.
        assert_eq!(
            lasted(&[once, IDLE, IDLE, IDLE, IDLE, once]),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn an_idle_app_is_never_stalled() {
        assert_eq!(lasted(&[IDLE; 100]), None);
        assert_eq!(lasted(&[WAITING, IDLE, IDLE]), None);
        assert!(!after(&[WAITING; 9]).ever() && after(&[MOVING, WAITING]).ever());
    }

    proptest! {
        #[test]
        fn no_stall_within_the_limit_of_any_progress(
            before in prop::collection::vec((0_u64..4, 0_u64..2, 0_u64..9), 0..40),
            then in prop::collection::vec((0_u64..4, 0_u64..9), 0..3),
        ) {
            let before = before.iter().map(|(waiting, progress, failures)| seen(*waiting, *progress, *failures));
            let then = then.iter().map(|(waiting, failures)| seen(*waiting, 0, *failures));
            let looks: Vec<Seen> = before.chain([seen(9, 1, 9)]).chain(then).collect();
            prop_assert_eq!(after(&looks).stall(), None);
        }
    }
}
