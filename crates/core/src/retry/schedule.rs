//! How long to wait before the next try.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A wait that somebody asks for is never longer than this where no deadline bounds it.
const LONGEST: Duration = Duration::from_secs(30);

/// How waits are spread, so that callers who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Jitter {
    /// Anywhere between this step and the next one: waits are spread over their whole range and still grow.
    #[default]
    Full,
    /// Not at all.
    None,
}

/// The waits between tries.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// How many tries there are after the first.
    pub most: u32,
    /// The first wait.
    pub base: Duration,
    /// Each wait is so many times the one before; at least 1.
    pub factor: f64,
    /// No wait is longer.
    pub max_delay: Duration,
    /// How waits are spread.
    pub jitter: Jitter,
    /// The waits one by one, instead of all that is above but `most`; the last one counts for all that follow.
    pub delays: Vec<Duration>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            most: 3,
            base: Duration::from_millis(100),
            factor: 2.0,
            max_delay: Duration::from_secs(2),
            jitter: Jitter::Full,
            delays: Vec::new(),
        }
    }
}

impl Schedule {
    /// The wait before the `retry`th repetition, from 1; `dice` is a fraction from 0 up to but never 1.
    pub fn step(&self, retry: u32, dice: f64) -> Duration {
        if let Some(last) = self.delays.last() {
            let at = usize::try_from(retry.saturating_sub(1)).unwrap_or(usize::MAX);
            return *self.delays.get(at).unwrap_or(last);
        }
        let factor = self.factor.max(1.0);
        let doublings = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
        let most = self.max_delay.as_secs_f64();
        let low = (self.base.as_secs_f64() * factor.powi(doublings)).min(most);
        let wait = match self.jitter {
            Jitter::None => low,
            Jitter::Full => {
                let spread = factor.max(2.0);
                let high = (low * spread).min(most);
                // At the cap nothing lies above, so the waits are spread below it.
                let low = if low < high { low } else { most / spread };
                low + (high - low) * dice.clamp(0.0, 1.0)
            }
        };
        Duration::try_from_secs_f64(wait).unwrap_or(self.max_delay)
    }

    /// The wait before the `retry`th repetition, or that there shall be none: too many, or no time is left for it.
    ///
    /// `asked` is what the other side wants (`Retry-After`): nobody comes back earlier, so one that asks for more than is
    /// `left` ends the tries. `left` is the time until the deadline.
    pub fn wait(
        &self,
        retry: u32,
        dice: f64,
        asked: Option<Duration>,
        left: Option<Duration>,
    ) -> Option<Duration> {
        if retry == 0 || retry > self.most {
            return None;
        }
        let wait = self.step(retry, dice).max(asked.unwrap_or_default());
        let bound = left.unwrap_or(LONGEST.max(self.max_delay));
        (wait < bound).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let schedule = Schedule {
            most: 9,
            jitter: Jitter::None,
            ..Schedule::default()
        };
        let waits: Vec<u128> = (1..8).map(|n| schedule.step(n, 0.9).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
    }

    #[test]
    fn a_list_is_taken_as_it_stands() {
        let schedule = Schedule {
            delays: vec![millis(100), millis(500), millis(2000)],
            ..Schedule::default()
        };
        for dice in [0.0, 0.99] {
            let waits: Vec<u128> = (1..5).map(|n| schedule.step(n, dice).as_millis()).collect();
            assert_eq!(waits, [100, 500, 2000, 2000]);
        }
    }

    #[test]
    fn whoever_asks_for_patience_gets_it_or_is_left_alone() {
        let schedule = Schedule::default();
        let wait = |asked, left| schedule.wait(1, 0.0, asked, left);
        assert_eq!(wait(None, None), Some(millis(100)));
        assert_eq!(wait(Some(Duration::ZERO), None), Some(millis(100)));
        assert_eq!(
            wait(Some(millis(700)), Some(millis(701))),
            Some(millis(700))
        );
        assert_eq!(wait(Some(millis(700)), Some(millis(700))), None);
        assert_eq!(wait(Some(Duration::from_secs(3600)), None), None);
        assert_eq!(wait(None, Some(Duration::ZERO)), None);
        assert_eq!(schedule.wait(4, 0.0, None, None), None);
    }

    proptest! {
        /// Whatever the figures: no wait is longer than the cap or the deadline, or shorter than asked for.
        #[test]
        fn waits_keep_their_bounds(
            most in 0_u32..9, base in 0_u64..5_000, factor in 0.0_f64..9.0, cap in 1_u64..9_000,
            full in any::<bool>(), retry in 0_u32..99, dice in 0.0_f64..1.0,
            asked in prop::option::of(0_u64..9_000), left in prop::option::of(0_u64..9_000),
        ) {
            let schedule = Schedule {
                most,
                base: millis(base),
                factor,
                max_delay: millis(cap),
                jitter: if full { Jitter::Full } else { Jitter::None },
                delays: Vec::new(),
            };
            let step = schedule.step(retry.max(1), dice);
            prop_assert!(step <= millis(cap) + Duration::from_nanos(1));
            if base <= cap / 9 && retry == 1 {
                prop_assert!(step >= millis(base));
            }
            let (asked, left) = (asked.map(millis), left.map(millis));
            match schedule.wait(retry, dice, asked, left) {
                Some(wait) => {
                    prop_assert!(retry <= most && retry > 0);
                    prop_assert!(wait >= asked.unwrap_or_default());
                    prop_assert!(left.is_none_or(|left| wait < left));
                }
                None => prop_assert!(
                    retry == 0 || retry > most || left.is_some_and(|left| left <= step.max(asked.unwrap_or_default()))
                ),
            }
        }
    }
}
