//! Whether requests fare worse on one side of a change than on the other.
//!
//! Compared are the share that failed and the mean time. A handful of requests proves nothing, so few of them say nothing.

/// Fewer requests than these say nothing.
pub const FEWEST: u64 = 20;
/// So many times as slow as the others, and by so many seconds, is worse.
const SLOWER: f64 = 3.0;
const SLOWER_BY: f64 = 0.1;
/// Where there is nothing to compare with, more failures than these are too many in any case.
const MOST_FAIL: f64 = 0.5;

/// Requests of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// How many there were.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// The time that they took together, in seconds.
    pub seconds: f64,
}

impl Tally {
    /// What came after `before`, when both count from the same beginning.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            failed: self.failed.saturating_sub(before.failed),
            seconds: (self.seconds - before.seconds).max(0.0),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            failed: self.failed + other.failed,
            seconds: self.seconds + other.seconds,
        }
    }

    /// Why this is worse than `other`, if it is: more than `errors` (a share, of 1) fail beyond what fails there, or requests take far
    /// longer. `there` says what the other side is, as in `before`.
    #[must_use]
    pub fn worse_than(self, other: Self, errors: f64, there: &str) -> Option<String> {
        let (failed, mean) = self.rates()?;
        let fail = format!("{:.0} % of requests fail", failed * 100.0);
        let Some((other_failed, other_mean)) = other.rates() else {
            let too_many = failed > MOST_FAIL;
            return too_many.then(|| format!("{fail}, and too few came {there} to compare"));
        };
        if failed > other_failed + errors {
            return Some(format!("{fail}, and {:.0} % {there}", other_failed * 100.0));
        }
        let is_slow = mean > other_mean * SLOWER && mean > other_mean + SLOWER_BY;
        (is_slow && other_mean > 0.0).then(|| {
            let (here, other) = (mean * 1_000.0, other_mean * 1_000.0);
            format!("requests take {here:.0} ms, and {other:.0} ms {there}")
        })
    }

    /// The share that failed, and the mean time.
    fn rates(self) -> Option<(f64, f64)> {
        // Exact in a float up to 2^53.
        #[allow(clippy::cast_precision_loss)]
        let float = |count: u64| count as f64;
        let all = float(self.requests);
        (self.requests >= FEWEST).then(|| (float(self.failed) / all, self.seconds / all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(requests: u64, failed: u64, each_ms: f64) -> Tally {
        #[allow(clippy::cast_precision_loss)]
        let seconds = requests as f64 * each_ms / 1_000.0;
        Tally {
            requests,
            failed,
            seconds,
        }
    }

    #[test]
    fn failures_and_slowness_count_and_a_handful_does_not() {
        let well = tally(1_000, 10, 10.0);
        let worse = |one: Tally| one.worse_than(well, 0.05, "before");
        assert_eq!(worse(tally(19, 19, 10.0)), None);
        assert_eq!(worse(tally(100, 5, 10.0)), None);
        assert_eq!(
            worse(tally(100, 50, 10.0)).as_deref(),
            Some("50 % of requests fail, and 1 % before")
        );
        assert_eq!(worse(tally(100, 1, 50.0)), None, "slower, but not by much");
        assert_eq!(
            worse(tally(100, 1, 200.0)).as_deref(),
            Some("requests take 200 ms, and 10 ms before")
        );
        let few = tally(3, 3, 10.0);
        assert_eq!(tally(100, 10, 10.0).worse_than(few, 0.05, "before"), None);
        assert!(
            tally(100, 60, 10.0)
                .worse_than(few, 0.05, "before")
                .is_some()
        );
        assert_eq!(well.since(tally(900, 9, 10.0)).requests, 100);
    }
}
