//! How the grace period is shared out among the phases of a shutdown.
//!
//! The user gives one number, the time after which whoever stops us loses patience. The phases are derived from it: as long
//! as it takes balancers to notice (`propagation`), the greatest part for requests in flight (`drain`), some for `hooks` and
//! for the `app`, and a `reserve` for writing everything out. Any of them may be set; what is left is then shared by the
//! others. A sum that does not fit is refused with the sum shown, because the alternative is to be killed half-way through,
//! which nobody would notice before it matters.

use std::fmt;
use std::time::{Duration, Instant};

use crate::quantity;

/// What the user asked for; only `grace` is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// All there is.
    pub grace: Duration,
    /// Still serving, already not ready.
    pub propagation: Option<Duration>,
    /// Waiting for requests in flight.
    pub drain: Option<Duration>,
    /// All hooks together.
    pub hooks: Option<Duration>,
    /// From the app's stop signal to its SIGKILL.
    pub app: Option<Duration>,
    /// For writing out logs and for everything unforeseen.
    pub reserve: Option<Duration>,
}

impl Wishes {
    /// Everything derived from `grace`.
    pub fn new(grace: Duration) -> Wishes {
        Wishes {
            grace,
            propagation: None,
            drain: None,
            hooks: None,
            app: None,
            reserve: None,
        }
    }
}

/// The time of each phase; their sum is never more than `grace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// All there is.
    pub grace: Duration,
    /// Still serving, already not ready.
    pub propagation: Duration,
    /// Waiting for requests in flight.
    pub drain: Duration,
    /// All hooks together.
    pub hooks: Duration,
    /// From the app's stop signal to its SIGKILL.
    pub app: Duration,
    /// For writing out logs and for everything unforeseen.
    pub reserve: Duration,
    /// Whether time that earlier phases did not use goes to the app; so unless its time was set.
    pub app_takes_rest: bool,
}

/// The phases need more than the grace period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoesNotFit {
    grace: Duration,
    parts: Vec<(&'static str, Duration)>,
    sum: Duration,
    largest: Option<&'static str>,
}

impl Budget {
    /// Shares out the grace period. `usual_propagation` holds when none was set: zero where nothing routes by readiness.
    pub fn derive(wishes: &Wishes, usual_propagation: Duration) -> Result<Budget, DoesNotFit> {
        let grace = wishes.grace;
        let reserve = wishes
            .reserve
            .unwrap_or_else(|| whole(grace / 15).min(Duration::from_secs(2)));
        let propagation = wishes
            .propagation
            .unwrap_or_else(|| usual_propagation.min(whole(grace / 6)));
        // A phase that nobody set still needs a little: an app that is killed at once is not what anybody meant.
        let least = whole(grace / 30).min(Duration::from_secs(1));
        let or_least = |wish: Option<Duration>| wish.unwrap_or(least);
        let parts = [
            ("propagation", propagation),
            ("drain", or_least(wishes.drain)),
            ("hooks", or_least(wishes.hooks)),
            ("app", or_least(wishes.app)),
            ("reserve", reserve),
        ];
        let sum = parts
            .iter()
            .fold(Duration::ZERO, |sum, (_, part)| sum.saturating_add(*part));
        if sum > grace {
            return Err(DoesNotFit::new(wishes, parts, sum));
        }
        let set = |wish: Option<Duration>| wish.unwrap_or_default();
        let rest =
            grace - reserve - propagation - set(wishes.drain) - set(wishes.hooks) - set(wishes.app);
        let weight = |wish: Option<Duration>, weight: u32| if wish.is_none() { weight } else { 0 };
        let weights = weight(wishes.drain, 15) + weight(wishes.hooks, 4) + weight(wishes.app, 4);
        let share = |wish: Option<Duration>| {
            wish.unwrap_or_else(|| {
                whole(rest / weights * 4)
                    .min(whole(grace / 30 * 4))
                    .max(least)
                    .min(rest)
            })
        };
        let hooks = share(wishes.hooks);
        let app = share(wishes.app);
        let drain = wishes
            .drain
            .unwrap_or_else(|| grace - reserve - propagation - hooks - app);
        Ok(Budget {
            grace,
            propagation,
            drain,
            hooks,
            app,
            reserve,
            app_takes_rest: wishes.app.is_none(),
        })
    }

    /// What the phases take together at most, the reserve left out.
    pub fn total(&self) -> Duration {
        self.propagation + self.drain + self.hooks + self.app
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = quantity::Duration;
        write!(
            f,
            "propagation {} + drain {} + hooks {} + app {} = {} of {}",
            show(self.propagation),
            show(self.drain),
            show(self.hooks),
            show(self.app),
            show(self.total()),
            show(self.grace)
        )
    }
}

impl DoesNotFit {
    fn new(wishes: &Wishes, parts: [(&'static str, Duration); 5], sum: Duration) -> DoesNotFit {
        let set = [
            ("shutdown.propagation", wishes.propagation),
            ("shutdown.drain", wishes.drain),
            ("shutdown.hooks_timeout", wishes.hooks),
            ("shutdown.app", wishes.app),
        ];
        let largest = set
            .into_iter()
            .filter_map(|(key, wish)| wish.map(|time| (time, key)))
            .max()
            .map(|(_, key)| key);
        DoesNotFit {
            grace: wishes.grace,
            parts: parts
                .into_iter()
                .filter(|(_, time)| !time.is_zero())
                .collect(),
            sum,
            largest,
        }
    }
}

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = quantity::Duration;
        f.write_str("the phases of the shutdown do not fit: ")?;
        for (at, (name, time)) in self.parts.iter().enumerate() {
            let plus = if at == 0 { "" } else { " + " };
            write!(f, "{plus}{name} {}", show(*time))?;
        }
        write!(
            f,
            " = {}, but shutdown.grace is {}. Raise shutdown.grace to {} (and the grace period of whatever stops this \
             process with it)",
            show(self.sum),
            show(self.grace),
            show(self.sum)
        )?;
        if let Some(key) = self.largest {
            write!(f, ", or lower {key}")?;
        }
        Ok(())
    }
}

impl std::error::Error for DoesNotFit {}

/// Rejecting a growing part of the requests instead of all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ramp {
    /// When the first request may be refused.
    pub from: Instant,
    /// How long until all are.
    pub over: Duration,
}

impl Ramp {
    /// The part of requests to refuse at `now`, from 0.0 to 1.0; it never falls as time goes on.
    pub fn refused(&self, now: Instant) -> f64 {
        match now.checked_duration_since(self.from) {
            None => 0.0,
            Some(gone) if gone >= self.over => 1.0,
            Some(gone) => gone.as_secs_f64() / self.over.as_secs_f64(),
        }
    }
}

/// Cuts off what is less than a millisecond: nobody wants to read it.
fn whole(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn thirty_seconds_are_shared_out_as_documented() {
        let budget = Budget::derive(&Wishes::new(s(30)), s(5)).unwrap();
        assert_eq!(
            (budget.propagation, budget.drain, budget.hooks, budget.app),
            (s(5), s(15), s(4), s(4))
        );
        assert_eq!((budget.total(), budget.reserve), (s(28), s(2)));

        let alone = Budget::derive(&Wishes::new(s(30)), s(0)).unwrap();
        assert_eq!(
            (alone.propagation, alone.drain, alone.hooks, alone.app),
            (s(0), s(20), s(4), s(4))
        );
        assert!(alone.app_takes_rest);
    }

    #[test]
    fn what_is_set_is_kept() {
        let wishes = Wishes {
            propagation: Some(s(2)),
            drain: Some(s(20)),
            hooks: Some(s(3)),
            app: Some(s(3)),
            ..Wishes::new(s(30))
        };
        let budget = Budget::derive(&wishes, s(5)).unwrap();
        assert_eq!(
            budget.to_string(),
            "propagation 2s + drain 20s + hooks 3s + app 3s = 28s of 30s"
        );
        assert!(!budget.app_takes_rest);
    }

    #[test]
    fn a_sum_that_does_not_fit_is_shown() {
        let wishes = Wishes {
            drain: Some(s(40)),
            ..Wishes::new(s(30))
        };
        let error = Budget::derive(&wishes, s(5)).unwrap_err().to_string();
        assert_eq!(
            error,
            "the phases of the shutdown do not fit: propagation 5s + drain 40s + hooks 1s + app 1s + reserve 2s = 49s, \
             but shutdown.grace is 30s. Raise shutdown.grace to 49s (and the grace period of whatever stops this \
             process with it), or lower shutdown.drain"
        );
    }

    #[test]
    fn what_is_derived_is_written_in_milliseconds() {
        let wishes = Wishes {
            drain: Some(s(40)),
            ..Wishes::new(s(10))
        };
        let said = Budget::derive(&wishes, s(0)).unwrap_err().to_string();
        assert!(
            said.contains("hooks 333ms + app 333ms + reserve 666ms = 41332ms"),
            "{said}"
        );
    }

    #[test]
    fn an_unset_phase_is_never_squeezed_to_nothing() {
        let wishes = Wishes {
            drain: Some(s(28)),
            ..Wishes::new(s(30))
        };
        assert!(Budget::derive(&wishes, s(0)).is_err());
        let wishes = Wishes {
            drain: Some(s(26)),
            ..Wishes::new(s(30))
        };
        let budget = Budget::derive(&wishes, s(0)).unwrap();
        assert_eq!((budget.hooks, budget.app), (s(1), s(1)));
    }

    #[test]
    fn the_ramp_goes_from_nothing_to_all() {
        let from = Instant::now() + s(10);
        let ramp = Ramp { from, over: s(4) };
        let at = |seconds| ramp.refused(from + s(seconds));
        assert!(ramp.refused(from - s(1)) == 0.0);
        assert!(at(0) == 0.0 && (at(1) - 0.25).abs() < 1e-9 && (at(3) - 0.75).abs() < 1e-9);
        assert!(at(4) == 1.0 && at(99) == 1.0);
        let none = Ramp {
            from,
            over: Duration::ZERO,
        };
        assert!(none.refused(from) == 1.0);
    }

    fn wish() -> impl Strategy<Value = Option<Duration>> {
        prop::option::of((0_u64..60_000).prop_map(Duration::from_millis))
    }

    proptest! {
        #[test]
        fn phases_fit_and_wishes_are_kept(
            grace in 0_u64..120_000,
            (propagation, drain, hooks, app, reserve) in (wish(), wish(), wish(), wish(), wish()),
            usual in 0_u64..20_000,
        ) {
            let grace = Duration::from_millis(grace);
            let wishes = Wishes { grace, propagation, drain, hooks, app, reserve };
            match Budget::derive(&wishes, Duration::from_millis(usual)) {
                Ok(budget) => {
                    prop_assert!(budget.total() + budget.reserve <= grace);
                    for (wish, part) in [
                        (propagation, budget.propagation),
                        (drain, budget.drain),
                        (hooks, budget.hooks),
                        (app, budget.app),
                        (reserve, budget.reserve),
                    ] {
                        prop_assert!(wish.is_none_or(|wish| wish == part));
                    }
                    let least = whole(grace / 30).min(Duration::from_secs(1));
                    prop_assert!(drain.is_some() || budget.drain >= least);
                    prop_assert!(hooks.is_some() || budget.hooks >= least);
                    prop_assert!(app.is_some() || budget.app >= least);
                }
                Err(error) => prop_assert!(error.sum > grace),
            }
        }

        #[test]
        fn nothing_set_always_fits(grace in any::<u32>(), usual in any::<u32>()) {
            let grace = Duration::from_millis(u64::from(grace));
            let budget = Budget::derive(&Wishes::new(grace), Duration::from_millis(u64::from(usual)));
            prop_assert!(budget.is_ok_and(|budget| budget.total() + budget.reserve <= grace));
        }
    }
}
