//! Time as decisions see it: nanoseconds since the process began, handed in by whoever has a clock.
//!
//! A `Moment` is one number, so that it fits into an atomic beside the state it dates. It comes from a monotonic clock and
//! never from the wall's, which steps. A [`Clock`] may run faster than the real one: nobody waits fifteen minutes to see a
//! ban end in a test, and the figures of the configuration stay as they are.

use std::time::{Duration, Instant};

/// A point in time, in nanoseconds since its [`Clock`] began. 584 years fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// How long after `earlier` this is; nothing if it is not.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This much later, or the end of time.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanos(time)))
    }
}

/// `time` in nanoseconds, at most what fits.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Turns readings of the system's monotonic clock into moments.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    scale: u32,
}

impl Clock {
    /// A clock that begins at `origin` and runs `scale` times as fast as the real one; 0 counts as 1.
    pub const fn new(origin: Instant, scale: u32) -> Self {
        let scale = if scale == 0 { 1 } else { scale };
        Self { origin, scale }
    }

    /// What this clock shows at `instant`.
    pub fn at(&self, instant: Instant) -> Moment {
        let real = nanos(instant.saturating_duration_since(self.origin));
        Moment(real.saturating_mul(u64::from(self.scale)))
    }

    /// How long one has to wait, by the real clock, for `time` to pass on this one.
    pub fn real(&self, time: Duration) -> Duration {
        time / self.scale
    }

    /// How many times as fast as the real one it runs.
    pub const fn scale(&self) -> u32 {
        self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_shows_more_time_and_asks_for_less() {
        let origin = Instant::now();
        let clock = Clock::new(origin, 60);
        let later = clock.at(origin + Duration::from_secs(2));
        assert_eq!(later.since(Moment(0)), Duration::from_secs(120));
        assert_eq!(
            clock.real(Duration::from_secs(900)),
            Duration::from_secs(15)
        );
        assert_eq!(Clock::new(origin, 0).scale(), 1);
    }

    #[test]
    fn time_never_runs_out_or_backwards() {
        let origin = Instant::now() + Duration::from_secs(60);
        assert_eq!(Clock::new(origin, 1).at(Instant::now()), Moment(0));
        assert_eq!(Moment(1).since(Moment(2)), Duration::ZERO);
        assert_eq!(Moment(1).after(Duration::MAX), Moment(u64::MAX));
    }
}
