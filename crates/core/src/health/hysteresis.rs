//! When a result counts: a blip changes nothing.

use super::State;

/// How many results in a row it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steadiness {
    /// Better results in a row before the shown state gets better; at least 1.
    pub rise: u32,
    /// Worse results in a row before it gets worse; at least 1.
    pub fall: u32,
}

impl Default for Steadiness {
    fn default() -> Self {
        Self { rise: 1, fall: 2 }
    }
}

/// The state that is shown, and how far the results have moved away from it.
#[derive(Clone, Debug)]
pub struct Hysteresis {
    steadiness: Steadiness,
    shown: State,
    /// No result has come yet, so the first one counts at once.
    first: bool,
    better: u32,
    worse: u32,
}

impl Hysteresis {
    /// Nothing is known yet.
    pub fn new(steadiness: Steadiness) -> Self {
        Self {
            steadiness,
            shown: State::Unknown,
            first: true,
            better: 0,
            worse: 0,
        }
    }

    /// The state that counts.
    pub fn shown(&self) -> State {
        self.shown
    }

    /// Takes in a result. Returns whether it counts: its message and details belong to the shown state.
    pub fn take(&mut self, found: State) -> bool {
        let (now, before) = (found.badness(), self.shown.badness());
        if self.first || now == before {
            // Unknown, failed and late are equally bad: the newest of them is the one to show.
            self.show(found);
            return true;
        }
        if now > before {
            self.better = 0;
            self.worse += 1;
            if self.worse < self.steadiness.fall.max(1) {
                return false;
            }
        } else {
            self.worse = 0;
            self.better += 1;
            if self.better < self.steadiness.rise.max(1) {
                return false;
            }
        }
        self.show(found);
        true
    }

    /// Whether the last result is worse than what is shown, so that it is worth looking again soon.
    pub fn is_in_doubt(&self) -> bool {
        self.worse > 0
    }

    /// Changes how many results it takes; what has been counted stays.
    pub fn set(&mut self, steadiness: Steadiness) {
        self.steadiness = steadiness;
    }

    fn show(&mut self, found: State) {
        self.first = false;
        self.shown = found;
        (self.better, self.worse) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Fail, Ok, TimedOut, Unknown, Warn};
    use proptest::prelude::*;

    fn run(steadiness: Steadiness, found: &[State]) -> Vec<State> {
        let mut hysteresis = Hysteresis::new(steadiness);
        found
            .iter()
            .map(|found| {
                hysteresis.take(*found);
                hysteresis.shown()
            })
            .collect()
    }

    #[test]
    fn the_first_result_counts_at_once() {
        assert_eq!(Hysteresis::new(Steadiness::default()).shown(), Unknown);
        assert_eq!(run(Steadiness::default(), &[Fail]), [Fail]);
        assert_eq!(run(Steadiness::default(), &[Ok]), [Ok]);
    }

    #[test]
    fn a_blip_changes_nothing_and_two_failures_do() {
        let shown = run(
            Steadiness::default(),
            &[Ok, Fail, Ok, Warn, Ok, Fail, TimedOut, Ok],
        );
        assert_eq!(shown, [Ok, Ok, Ok, Ok, Ok, Ok, TimedOut, Ok]);
    }

    #[test]
    fn rising_takes_as_many_as_asked() {
        let steadiness = Steadiness { rise: 3, fall: 1 };
        let shown = run(steadiness, &[Fail, Ok, Ok, Fail, Ok, Ok, Ok, Warn]);
        assert_eq!(shown, [Fail, Fail, Fail, Fail, Fail, Fail, Ok, Warn]);
    }

    #[test]
    fn doubt_begins_with_a_worse_result_and_ends_with_a_decision() {
        let mut hysteresis = Hysteresis::new(Steadiness::default());
        hysteresis.take(Ok);
        assert!(!hysteresis.is_in_doubt());
        assert!(!hysteresis.take(Fail));
        assert!(hysteresis.is_in_doubt());
        assert!(hysteresis.take(Fail));
        assert!(!hysteresis.is_in_doubt());
    }

    proptest! {
        #[test]
        fn fewer_bad_results_in_a_row_than_asked_are_never_shown(
            bad in prop::collection::vec(0_u32..3, 1..30),
            fall in 3_u32..6,
        ) {
            // Runs of up to two failures between good results, with three or more needed.
            let found: Vec<State> = bad
                .iter()
                .flat_map(|run| std::iter::repeat_n(Fail, *run as usize).chain([Ok]))
                .collect();
            let mut hysteresis = Hysteresis::new(Steadiness { rise: 1, fall });
            hysteresis.take(Ok);
            for found in found {
                hysteresis.take(found);
                prop_assert_eq!(hysteresis.shown(), Ok);
            }
        }
    }
}
