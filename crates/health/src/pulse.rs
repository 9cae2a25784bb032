//! Signs of life: what liveness may look at.
//!
//! A failed liveness restarts the process, so it must never fail for something that a restart does not mend. The type says so:
//! [`Sign`] is sealed, and nothing that implements it looks outside of the process. A [`Check`](crate::Check) is no sign.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock;

/// Something in the process itself that shows whether it gets on. It cannot be implemented elsewhere, so that
/// [`Builder::live`](crate::Builder::live) takes nothing else.
pub trait Sign: sealed::Sealed + Send + Sync + 'static {}

pub(crate) mod sealed {
    use std::time::Instant;

    pub trait Sealed {
        /// What is wrong, if anything.
        fn fault(&self, now: Instant) -> Option<String>;
    }
}

/// The beat of one loop of the program. Clones are the same pulse.
///
/// The loop itself calls [`beat`](Pulse::beat), in each round and not from a task beside it, so that a loop that hangs is noticed.
#[derive(Clone)]
pub struct Pulse(Arc<Inner>);

struct Inner {
    name: String,
    stale_after: Duration,
    since: Instant,
    /// Milliseconds from `since` to the last beat.
    last: AtomicU64,
}

/// Stands for a loop that has ended as it should.
const RETIRED: u64 = u64::MAX;

impl Pulse {
    /// A pulse that has beaten just now and is stale when it has not for `stale_after`.
    pub fn new(name: impl Into<String>, stale_after: Duration) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            stale_after,
            since: clock::now(),
            last: AtomicU64::new(0),
        }))
    }

    /// The loop gets on. Costs a reading of the clock and a store.
    pub fn beat(&self) {
        let since = clock::now().saturating_duration_since(self.0.since);
        let since = u64::try_from(since.as_millis()).unwrap_or(RETIRED - 1);
        self.0.last.store(since, Ordering::Relaxed);
    }

    /// The loop ends as it should, and nobody waits for its beat any more; without this a drain would look like a hang.
    pub fn retire(&self) {
        self.0.last.store(RETIRED, Ordering::Relaxed);
    }
}

impl Sign for Pulse {}

impl sealed::Sealed for Pulse {
    fn fault(&self, now: Instant) -> Option<String> {
        let Inner {
            name,
            stale_after,
            since,
            last,
        } = &*self.0;
        let last = last.load(Ordering::Relaxed);
        if last == RETIRED {
            return None;
        }
        let silent = now
            .saturating_duration_since(*since)
            .saturating_sub(Duration::from_millis(last));
        let limit = stale_after.as_secs_f64();
        (silent > *stale_after).then(|| format!("{name} has not got on for more than {limit} s"))
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse")
            .field("name", &self.0.name)
            .field("stale_after", &self.0.stale_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Sealed as _;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_is_noticed_and_one_that_ended_is_not() {
        let pulse = Pulse::new("worker", Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(pulse.fault(clock::now()), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(
            pulse.fault(clock::now()).as_deref(),
            Some("worker has not got on for more than 30 s")
        );
        pulse.clone().beat();
        assert_eq!(pulse.fault(clock::now()), None);
        tokio::time::advance(Duration::from_secs(3600)).await;
        pulse.retire();
        assert_eq!(pulse.fault(clock::now()), None);
    }
}
