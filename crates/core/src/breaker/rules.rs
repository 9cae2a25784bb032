//! The figures of a breaker.

use std::time::Duration;

/// When a closed breaker opens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// After so many failures in a row.
    Consecutive {
        /// How many.
        failures: u32,
    },
    /// After so many failures within the window, whatever lies between them.
    Count {
        /// How many.
        failures: u32,
    },
    /// When this share of the calls within the window failed.
    Rate {
        /// The share, over 0 and at most 1.
        threshold: f64,
    },
}

impl Mode {
    /// Whether it looks at the calls of a window.
    pub const fn has_window(self) -> bool {
        !matches!(self, Self::Consecutive { .. })
    }
}

/// Opens a breaker for calls that succeed too late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// A call is slow from here on.
    pub after: Duration,
    /// The share of slow calls within the window that opens the breaker, over 0 and at most 1.
    pub threshold: f64,
}

/// How a breaker behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// When it opens.
    pub mode: Mode,
    /// When it opens for slow calls; a slow probe counts as failed. `None`: never.
    pub slow: Option<Slow>,
    /// Shares mean nothing before so many calls lie in the window.
    pub min_calls: u32,
    /// How far back counts and shares look.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
    /// The open time doubles each time that probes fail, up to this. `None`: it does not.
    pub open_max: Option<Duration>,
    /// Up to this share of the open time is added to it at random, so that many breakers do not ask at once. 0: none.
    pub jitter: f64,
    /// How many probes a half-open breaker lets through, all of which have to succeed; at least one.
    pub probes: u32,
    /// How long the probes may take together; after that others are let through.
    pub half_open: Duration,
}

impl Default for Rules {
    /// Five failures in a row, a minute, one probe.
    fn default() -> Self {
        Self {
            mode: Mode::Consecutive { failures: 5 },
            slow: None,
            min_calls: 20,
            window: Duration::from_secs(30),
            open: Duration::from_secs(60),
            open_max: None,
            jitter: 0.0,
            probes: 1,
            half_open: Duration::from_secs(120),
        }
    }
}

impl Rules {
    /// Whether the calls of a window are counted.
    pub const fn has_window(&self) -> bool {
        self.mode.has_window() || self.slow.is_some()
    }

    /// The open time for the `opening`th time in a row, from 1; `dice` is a random number.
    pub(super) fn open_time(&self, opening: u32, dice: u64) -> Duration {
        let time = match self.open_max {
            Some(most) => {
                let doublings = opening.saturating_sub(1).min(31);
                self.open.saturating_mul(1 << doublings).min(most)
            }
            None => self.open,
        };
        if self.jitter <= 0.0 {
            return time;
        }
        let share = self.jitter.min(1.0) * fraction(dice);
        let longer = time.saturating_add(time.mul_f64(share));
        self.open_max
            .map_or(longer, |most| longer.min(most.max(time)))
    }
}

/// A random number as a fraction, from 0 up to but never 1.
pub(super) fn fraction(dice: u64) -> f64 {
    let high = u32::try_from(dice >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_open_time_doubles_up_to_its_cap_and_jitter_only_adds() {
        let rules = Rules {
            open: 5 * SECOND,
            open_max: Some(60 * SECOND),
            ..Rules::default()
        };
        let times: Vec<u64> = (1..7).map(|n| rules.open_time(n, 0).as_secs()).collect();
        assert_eq!(times, [5, 10, 20, 40, 60, 60]);
        assert_eq!(rules.open_time(u32::MAX, 0), 60 * SECOND);
        let jittered = Rules {
            jitter: 0.1,
            ..rules
        };
        for dice in [0, u64::MAX / 2, u64::MAX] {
            let time = jittered.open_time(1, dice);
            assert!(
                (5 * SECOND..=Duration::from_millis(5500)).contains(&time),
                "{time:?}"
            );
            assert_eq!(jittered.open_time(9, dice), 60 * SECOND);
        }
        let fixed = Rules {
            open_max: None,
            ..rules
        };
        assert_eq!(fixed.open_time(9, u64::MAX), 5 * SECOND);
    }
}
