//! What came of the calls of the last while, in ten buckets that are emptied one after the other.
//!
//! Buckets instead of a list of calls: memory does not grow with the load, and a count is as exact as a tenth of the window.

use std::time::Duration;

use crate::clock::{Moment, nanos};

const BUCKETS: usize = 10;

/// So many calls, and what they were like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }
}

#[derive(Debug, Clone)]
pub(super) struct Window {
    /// The length of a bucket in nanoseconds; at least one.
    bucket: u64,
    /// The number of the newest bucket since the beginning of time.
    newest: u64,
    buckets: [Tally; BUCKETS],
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            bucket: Self::bucket(length),
            newest: 0,
            buckets: [Tally::default(); BUCKETS],
        }
    }

    fn bucket(length: Duration) -> u64 {
        (nanos(length) / BUCKETS as u64).max(1)
    }

    /// Whether it is as long as this.
    pub(super) fn is_of(&self, length: Duration) -> bool {
        self.bucket == Self::bucket(length)
    }

    pub(super) fn clear(&mut self) {
        self.buckets = [Tally::default(); BUCKETS];
    }

    /// Counts one call that ended at `now`. One that is late, by a clock that was read before another's, counts as new.
    pub(super) fn record(&mut self, now: Moment, failed: bool, slow: bool) {
        self.turn(now);
        let at = self.newest % BUCKETS as u64;
        self.buckets[usize::try_from(at).unwrap_or_default()].add(Tally {
            calls: 1,
            failures: u32::from(failed),
            slow: u32::from(slow),
        });
    }

    /// What lies in the window at `now`.
    pub(super) fn tally(&mut self, now: Moment) -> Tally {
        self.turn(now);
        let mut sum = Tally::default();
        for bucket in self.buckets {
            sum.add(bucket);
        }
        sum
    }

    fn turn(&mut self, now: Moment) {
        let number = now.0 / self.bucket;
        let passed = number.saturating_sub(self.newest);
        if passed == 0 {
            return;
        }
        for step in 1..=passed.min(BUCKETS as u64) {
            let at = (self.newest + step) % BUCKETS as u64;
            self.buckets[usize::try_from(at).unwrap_or_default()] = Tally::default();
        }
        if passed > BUCKETS as u64 {
            self.clear();
        }
        self.newest = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Everything of the last nine tenths of the window is counted, nothing older than the window is.
        #[test]
        fn a_tally_is_exact_to_a_bucket(
            calls in prop::collection::vec((0_u64..4_000, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let length = Duration::from_millis(10_000);
            let mut window = Window::new(length);
            let mut now = Moment(0);
            let mut all: Vec<(Moment, bool, bool)> = Vec::new();
            for (pause, failed, slow) in calls {
                now = now.after(Duration::from_millis(pause));
                window.record(now, failed, slow);
                all.push((now, failed, slow));
                let tally = window.tally(now);
                let within = |age: u64| -> Vec<&(Moment, bool, bool)> {
                    all.iter().filter(|(at, _, _)| now.since(*at) < Duration::from_millis(age)).collect()
                };
                let (sure, most) = (within(9_000), within(10_000));
                let count = |of: &[&(Moment, bool, bool)], what: fn(&(Moment, bool, bool)) -> bool| {
                    u32::try_from(of.iter().filter(|call| what(call)).count()).unwrap()
                };
                for (counted, what) in [
                    (tally.calls, (|_| true) as fn(&(Moment, bool, bool)) -> bool),
                    (tally.failures, |call| call.1),
                    (tally.slow, |call| call.2),
                ] {
                    prop_assert!(counted >= count(&sure, what));
                    prop_assert!(counted <= count(&most, what));
                }
            }
        }
    }

    #[test]
    fn a_clock_that_steps_back_or_far_ahead_harms_nothing() {
        let mut window = Window::new(Duration::ZERO);
        window.record(Moment(100), true, false);
        window.record(Moment(1), true, false);
        assert_eq!(window.tally(Moment(100)).failures, 2);
        assert_eq!(window.tally(Moment(u64::MAX)).calls, 0);
    }
}
