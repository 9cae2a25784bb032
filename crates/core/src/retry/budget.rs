//! How many of all calls may be repetitions.
//!
//! Each call puts a share of a token into a purse, time adds a few, and each repetition takes a whole one. So the load that
//! repetitions add is bounded whatever happens, and still one that fails alone on a quiet afternoon is tried again. The purse
//! is two numbers, each changed in one step: no lock, and what two threads do at once is neither lost nor counted twice.

#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(all(loom, test)))]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;

/// A token in the units that are counted: a share of a millionth is possible.
const TOKEN: u64 = 1_000_000;
/// Time adds for at most so many seconds; it is what a quiet service may repeat at once.
const SAVED_SECONDS: u64 = 10;

/// See the [module documentation](self). All that call the same service share one.
#[derive(Debug)]
pub struct Budget {
    tokens: AtomicU64,
    /// When time was last paid out, in nanoseconds.
    paid: AtomicU64,
    exhausted: AtomicU64,
    per_call: u64,
    per_second: u64,
}

impl Budget {
    /// Lets `share` of all calls be repetitions, and `per_second` more. It begins with ten seconds' worth of the latter.
    pub fn new(share: f64, per_second: u32) -> Self {
        let millionths = (share.clamp(0.0, 100.0) * 1e6).round();
        // Whole and between 0 and 1e8, so nothing is lost.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let per_call = millionths as u64;
        let per_second = u64::from(per_second) * TOKEN;
        Self {
            tokens: AtomicU64::new(per_second * SAVED_SECONDS),
            paid: AtomicU64::new(0),
            exhausted: AtomicU64::new(0),
            per_call,
            per_second,
        }
    }

    /// The most that is saved up.
    fn most(&self) -> u64 {
        (self.per_second * SAVED_SECONDS).max(TOKEN * SAVED_SECONDS)
    }

    /// Takes note of a call that is not a repetition.
    pub fn call(&self) {
        self.add(self.per_call);
    }

    /// Asks for leave to repeat a call.
    pub fn take(&self, now: Moment) -> bool {
        self.pay(now);
        let taken = self
            .tokens
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |tokens| {
                tokens.checked_sub(TOKEN)
            })
            .is_ok();
        if !taken {
            self.exhausted.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// How often leave was refused.
    pub fn exhausted(&self) -> u64 {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// Whole repetitions that may be made now.
    pub fn left(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed) / TOKEN
    }

    /// Adds what time has brought since it was last paid out. Whoever moves the mark pays, so nothing is paid twice.
    fn pay(&self, now: Moment) {
        let paid = self.paid.load(Ordering::Acquire);
        let owed = now.since(Moment(paid));
        // Less than a thousandth of a second stays owed, or frequent calls would round it away.
        if owed.as_millis() == 0 || self.per_second == 0 {
            return;
        }
        let moved = self
            .paid
            .compare_exchange(paid, now.0, Ordering::AcqRel, Ordering::Acquire);
        if moved.is_ok() {
            let micros = u64::try_from(owed.as_micros()).unwrap_or(u64::MAX);
            self.add(self.per_second.saturating_mul(micros) / 1_000_000);
        }
    }

    fn add(&self, amount: u64) {
        let most = self.most();
        // A full purse, as a healthy service has it, is not written to.
        let add = |tokens: u64| (tokens < most).then(|| tokens.saturating_add(amount).min(most));
        self.tokens
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add)
            .ok();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn millis(millis: u64) -> Moment {
        Moment(0).after(Duration::from_millis(millis))
    }

    #[test]
    fn a_storm_costs_a_fifth_and_the_floor() {
        let budget = Budget::new(0.2, 1);
        let mut repeated = 0;
        for call in 0..30_000 {
            budget.call();
            repeated += (0..3).filter(|_| budget.take(millis(call))).count();
        }
        // 30 s at 1,000 calls a second: a fifth of them, 1 a second, and what was saved up.
        assert!((6_000..=6_000 + 30 + 20).contains(&repeated), "{repeated}");
        assert_eq!(budget.exhausted(), 90_000 - repeated as u64);
        assert_eq!(budget.left(), 0);
    }

    #[test]
    fn a_quiet_service_may_repeat_and_no_budget_is_none() {
        let budget = Budget::new(0.2, 1);
        assert_eq!((0..20).filter(|_| budget.take(millis(0))).count(), 10);
        assert_eq!((0..20).filter(|_| budget.take(millis(3_000))).count(), 3);
        assert_eq!((0..20).filter(|_| budget.take(millis(2_000))).count(), 0);
        let nothing = Budget::new(0.0, 0);
        nothing.call();
        assert!(!nothing.take(millis(9_999_999)));
    }

    #[test]
    fn what_is_saved_up_has_an_end() {
        let budget = Budget::new(1.0, 1);
        (0..10_000).for_each(|_| budget.call());
        assert_eq!(budget.left(), 10);
        assert!(budget.take(Moment(u64::MAX)));
        assert_eq!(budget.left(), 9);
    }

    proptest! {
        /// Over any schedule: never more than the share of the calls, the floor for the time, and what was saved up.
        #[test]
        fn repetitions_are_bounded(
            steps in prop::collection::vec((0_u64..2_000, 0_u32..30, 0_u32..30), 1..100),
            tenths in 0_u32..20, floor in 0_u32..5,
        ) {
            let share = f64::from(tenths) / 10.0;
            let budget = Budget::new(share, floor);
            let (mut now, mut calls, mut repeated) = (0, 0_u32, 0_u32);
            for (pause, made, wanted) in steps {
                now += pause;
                (0..made).for_each(|_| budget.call());
                calls += made;
                repeated += u32::try_from((0..wanted).filter(|_| budget.take(millis(now))).count()).unwrap();
                let seconds = now as f64 / 1e3;
                let most = f64::from(calls) * share + f64::from(floor) * (seconds + 10.0);
                prop_assert!(f64::from(repeated) <= most + 1e-6, "{repeated} of {most}");
            }
        }
    }
}

#[cfg(all(test, loom))]
mod interleavings {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_token_is_never_spent_twice() {
        loom::model(|| {
            // Three calls at a half each are one token and a half.
            let budget = Arc::new(Budget::new(0.5, 0));
            (0..3).for_each(|_| budget.call());
            let other = budget.clone();
            let thread = loom::thread::spawn(move || other.take(Moment(1)));
            let own = budget.take(Moment(1));
            let both = u32::from(own) + u32::from(thread.join().unwrap());
            assert_eq!(both, 1);
        });
    }

    #[test]
    fn time_is_paid_out_once() {
        loom::model(|| {
            let budget = Arc::new(Budget::new(0.0, 1));
            (0..10).for_each(|_| assert!(budget.take(Moment(0))));
            let later = Moment(1_000_000_000);
            let other = budget.clone();
            let thread = loom::thread::spawn(move || other.take(later));
            let own = budget.take(later);
            let both = u32::from(own) + u32::from(thread.join().unwrap());
            assert!(both <= 1 && u64::from(both) + budget.left() == 1);
        });
    }
}
