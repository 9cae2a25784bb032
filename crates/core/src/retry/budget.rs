//! How many of all calls may be repetitions.
//!
//! There are two purses. Each call puts a share of a token into one, time adds a few to the other, and a repetition may be made
//! when either holds a whole token. It is taken out of both, and a purse may owe as much as it may hold: what one of them paid
//! for the other has not left. So the load that repetitions add is the larger of the two and not their sum: a storm costs the
//! share, and still one call that fails alone on a quiet afternoon is tried again. A purse is one number that is changed in one
//! step: no lock, and what two threads do at once is neither lost nor paid by the same token.

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
    of_calls: Purse,
    of_time: Purse,
    /// When time was last paid out, in nanoseconds.
    paid: AtomicU64,
    per_call: u64,
    per_second: u64,
}

#[derive(Debug)]
struct Purse {
    /// What it holds above `most`, or owes below it.
    level: AtomicU64,
    /// The most that it may hold, or owe.
    most: u64,
}

impl Purse {
    fn new(most: u64, tokens: u64) -> Self {
        Self {
            level: AtomicU64::new(most + tokens),
            most,
        }
    }

    fn tokens(&self) -> u64 {
        let level = self.level.load(Ordering::Relaxed);
        level.saturating_sub(self.most) / TOKEN
    }

    /// Pays with a whole token, if there is one.
    fn pay(&self) -> bool {
        self.change(|level| {
            let rest = level.checked_sub(TOKEN)?;
            (rest >= self.most).then_some(rest)
        })
    }

    /// Owes what the other one has paid.
    fn owe(&self) {
        self.change(|level| (level > 0).then(|| level.saturating_sub(TOKEN)));
    }

    fn add(&self, amount: u64) {
        let full = self.most * 2;
        // A full purse, as a healthy service has it, is not written to.
        self.change(|level| (level < full).then(|| level.saturating_add(amount).min(full)));
    }

    fn change(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        self.level
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
            .is_ok()
    }
}

impl Budget {
    /// Lets `share` of all calls be repetitions, or `per_second` where that is more. It begins with ten seconds' worth of the latter.
    pub fn new(share: f64, per_second: u32) -> Self {
        let millionths = (share.clamp(0.0, 100.0) * 1e6).round();
        // Whole and between 0 and 1e8, so nothing is lost.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let per_call = millionths as u64;
        let per_second = u64::from(per_second) * TOKEN;
        let saved = per_second * SAVED_SECONDS;
        let most = saved.max(TOKEN * SAVED_SECONDS);
        Self {
            of_calls: Purse::new(most, 0),
            of_time: Purse::new(most, saved),
            paid: AtomicU64::new(0),
            per_call,
            per_second,
        }
    }

    /// Takes note of a call that is not a repetition.
    pub fn call(&self) {
        self.of_calls.add(self.per_call);
    }

    /// Asks for leave to repeat a call.
    pub fn take(&self, now: Moment) -> bool {
        self.pay(now);
        let (payer, other) = if self.of_calls.pay() {
            (true, &self.of_time)
        } else {
            (self.of_time.pay(), &self.of_calls)
        };
        if payer {
            other.owe();
        }
        payer
    }

    /// Whole repetitions that may be made now.
    pub fn left(&self) -> u64 {
        self.of_calls.tokens().max(self.of_time.tokens())
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
            self.of_time
                .add(self.per_second.saturating_mul(micros) / 1_000_000);
        }
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
    fn a_storm_costs_a_fifth_and_not_the_floor_beside_it() {
        let budget = Budget::new(0.2, 1);
        let mut repeated = 0;
        for call in 0..30_000 {
            budget.call();
            repeated += (0..3).filter(|_| budget.take(millis(call))).count();
        }
        // 30 s at 1,000 calls a second.
        assert!((5_990..=6_000).contains(&repeated), "{repeated}");
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
        /// In a storm of any strength repetitions are the larger of both, and what was saved up.
        #[test]
        fn a_storm_costs_the_larger_of_share_and_floor(
            pause in 1_u64..500, at_once in 1_u32..20, tenths in 1_u32..20, floor in 0_u32..20,
        ) {
            let share = f64::from(tenths) / 10.0;
            let budget = Budget::new(share, floor);
            let (mut calls, mut repeated) = (0_u32, 0_u32);
            for round in 0..2_000 {
                (0..at_once).for_each(|_| budget.call());
                calls += at_once;
                let now = millis(round * pause);
                repeated += u32::try_from((0..3 * at_once).filter(|_| budget.take(now)).count()).unwrap();
            }
            let seconds = (2_000 * pause) as f64 / 1e3;
            let most = (f64::from(calls) * share).max(f64::from(floor) * (seconds + 10.0));
            prop_assert!(f64::from(repeated) <= most + 2.0, "{repeated} of {most}");
        }

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
