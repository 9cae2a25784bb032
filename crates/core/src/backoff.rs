//! When to start a dead app again.
//!
//! Two kinds of death are told apart. An app that was well for a while and then died is started again at once: its users
//! wait for it and nothing suggests that the next start fares worse. An app that dies early will probably do so again, so it
//! waits, longer each time, and when that happens too often within a window the answer is to give up, so that whoever
//! supervises Seaworthy sees the app's own exit code instead of an endless loop.
//!
//! It has no clock: the caller says what time it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which endings lead to a new start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Every one.
    #[default]
    Always,
    /// Every one but exit code 0.
    OnFailure,
    /// None: when the app ends, so does Seaworthy, with the app's exit code.
    Never,
}

/// The numbers behind the decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Which endings lead to a new start.
    pub policy: Policy,
    /// The wait after the first early death.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How long an app must have been ready for its death not to be counted.
    pub stable_after: Duration,
    /// How many early deaths within the window are too many.
    pub limit: u32,
    /// The time within which early deaths are counted.
    pub window: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            policy: Policy::Always,
            base: Duration::from_millis(500),
            max: Duration::from_secs(30),
            stable_after: Duration::from_secs(1),
            limit: 5,
            window: Duration::from_secs(60),
        }
    }
}

/// What to do about a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start again now.
    Restart,
    /// Start again after this time.
    RestartAfter(Duration),
    /// The policy asks for no new start: this was the end of the app.
    End,
    /// It died early too often.
    GiveUp,
}

/// The memory of one instance's deaths.
#[derive(Debug, Clone)]
pub struct Backoff {
    rules: Rules,
    /// Early deaths within the window, oldest first; never more than the limit.
    early: VecDeque<Instant>,
    /// Early deaths since the last stable run.
    streak: u32,
}

impl Backoff {
    /// An instance that has not died yet.
    pub fn new(rules: Rules) -> Backoff {
        Backoff {
            rules,
            early: VecDeque::new(),
            streak: 0,
        }
    }

    /// Decides about a death at `now` of an app that had been ready for `ready_for` (`None`: it never was) and ended with
    /// `success` (exit code 0).
    pub fn died(&mut self, now: Instant, ready_for: Option<Duration>, success: bool) -> Decision {
        match self.rules.policy {
            Policy::Never => return Decision::End,
            Policy::OnFailure if success => return Decision::End,
            Policy::OnFailure | Policy::Always => {}
        }
        if ready_for.is_some_and(|time| time >= self.rules.stable_after) {
            self.streak = 0;
            return Decision::Restart;
        }
        let window = self.rules.window;
        self.early
            .retain(|death| now.saturating_duration_since(*death) < window);
        self.early.push_back(now);
        self.streak = self.streak.saturating_add(1);
        if u32::try_from(self.early.len()).unwrap_or(u32::MAX) >= self.rules.limit {
            return Decision::GiveUp;
        }
        Decision::RestartAfter(self.delay())
    }

    /// How many early deaths lie within the window that ends with the last one.
    pub fn early_deaths(&self) -> usize {
        self.early.len()
    }

    /// `base` doubled for each early death after the first, at most `max`.
    fn delay(&self) -> Duration {
        let doublings = self.streak.saturating_sub(1).min(31);
        self.rules
            .base
            .saturating_mul(1_u32 << doublings)
            .min(self.rules.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EARLY: Option<Duration> = Some(Duration::from_millis(999));
    const STABLE: Option<Duration> = Some(Duration::from_secs(1));

    #[test]
    fn waits_double_and_the_fifth_early_death_is_the_last() {
        let mut backoff = Backoff::new(Rules::default());
        let start = Instant::now();
        let mut now = start;
        for wait in [500, 1000, 2000, 4000] {
            let decision = backoff.died(now, None, false);
            assert_eq!(
                decision,
                Decision::RestartAfter(Duration::from_millis(wait))
            );
            now += Duration::from_millis(wait);
        }
        assert_eq!(backoff.died(now, EARLY, true), Decision::GiveUp);
        assert!(now - start < Duration::from_secs(60));
    }

    #[test]
    fn a_stable_run_is_restarted_at_once_and_resets_the_wait() {
        let mut backoff = Backoff::new(Rules::default());
        let now = Instant::now();
        assert_eq!(
            backoff.died(now, EARLY, false),
            Decision::RestartAfter(Duration::from_millis(500))
        );
        for _ in 0..100 {
            assert_eq!(backoff.died(now, STABLE, false), Decision::Restart);
        }
        assert_eq!(
            backoff.died(now, EARLY, false),
            Decision::RestartAfter(Duration::from_millis(500))
        );
        assert_eq!(backoff.early_deaths(), 2);
    }

    #[test]
    fn slow_early_deaths_never_lead_to_giving_up_and_wait_at_most_the_maximum() {
        let mut backoff = Backoff::new(Rules::default());
        let mut now = Instant::now();
        let mut last = Duration::ZERO;
        for _ in 0..50 {
            now += Duration::from_secs(20);
            match backoff.died(now, None, false) {
                Decision::RestartAfter(wait) => last = wait,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(last, Duration::from_secs(30));
    }

    #[test]
    fn the_policy_says_which_endings_are_final() {
        let with = |policy| {
            Backoff::new(Rules {
                policy,
                ..Rules::default()
            })
        };
        let now = Instant::now();
        assert_eq!(with(Policy::Never).died(now, STABLE, false), Decision::End);
        assert_eq!(
            with(Policy::OnFailure).died(now, STABLE, true),
            Decision::End
        );
        assert_eq!(
            with(Policy::OnFailure).died(now, STABLE, false),
            Decision::Restart
        );
        assert_eq!(
            with(Policy::Always).died(now, STABLE, true),
            Decision::Restart
        );
    }

    proptest! {
        /// Whatever happens: memory is bounded, waits lie between base and max, and giving up needs `limit` early deaths
        /// inside one window.
        #[test]
        fn decisions_keep_their_bounds(
            deaths in prop::collection::vec((0_u64..40_000, prop::option::of(0_u64..3_000)), 1..200),
            limit in 1_u32..8,
        ) {
            let rules = Rules { limit, ..Rules::default() };
            let mut backoff = Backoff::new(rules);
            let mut now = Instant::now();
            let mut early: Vec<Instant> = Vec::new();
            for (pause, ready) in deaths {
                now += Duration::from_millis(pause);
                let ready = ready.map(Duration::from_millis);
                let stable = ready.is_some_and(|time| time >= rules.stable_after);
                let decision = backoff.died(now, ready, false);
                if !stable {
                    early.push(now);
                }
                let recent = early.iter().filter(|at| now - **at < rules.window).count();
                match decision {
                    Decision::Restart => prop_assert!(stable),
                    Decision::RestartAfter(wait) => {
                        prop_assert!(!stable && wait >= rules.base && wait <= rules.max);
                        prop_assert!(recent < limit as usize);
                    }
                    Decision::GiveUp => {
                        prop_assert!(!stable && recent >= limit as usize);
                        break;
                    }
                    Decision::End => prop_assert!(false, "the policy is always"),
                }
                prop_assert!(backoff.early_deaths() <= limit as usize);
            }
        }
    }
}
