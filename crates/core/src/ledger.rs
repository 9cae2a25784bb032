//! The errors of one service: how many lately, whether they become more, and which came last.
//!
//! A total says nothing of today, and a rate nothing of the three errors of last night. The ledger has both, in slots of five
//! seconds that exist only where there was an error: a service without any costs nothing, one that fails without end a few
//! kilobytes. Counts over a window reach up to one slot further back than the window, never less far.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::clock::Moment;

/// The length of a slot.
pub const SLOT: Duration = Duration::from_secs(5);
/// The windows that are counted over.
pub const WINDOWS: [Duration; 3] = [MINUTE, Duration::from_secs(300), HOUR];

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Fewer errors more or less than before are chance.
const CHANCE: u128 = 3;

/// What kind of error it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One that has a name, as those of the catalogue have.
    Named(&'static str),
    /// An answer of this status.
    Status(u16),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Status(status) => write!(f, "http_{status}"),
        }
    }
}

/// Whether errors become more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// They do.
    Up,
    /// They neither do nor become fewer, or too few are known to say.
    Flat,
    /// They become fewer.
    Down,
}

impl Trend {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Flat => "flat",
            Self::Down => "down",
        }
    }

    /// Compares the errors of the last minute with those of the four before it, of which `known` have been watched. A trend is
    /// half as many again or two thirds of what was expected, and three errors at least.
    pub fn of(minute: u64, before: u64, known: Duration) -> Self {
        let known = u128::from(known.as_secs().min(240));
        // Both sides in errors per minute, times the seconds that are known.
        let found = u128::from(minute) * known.max(1);
        let expected = u128::from(if known == 0 { 0 } else { before }) * 60;
        let margin = CHANCE * known.max(1);
        if found * 2 > expected * 3 && found >= expected + margin {
            Self::Up
        } else if found * 3 < expected * 2 && found + margin <= expected {
            Self::Down
        } else {
            Self::Flat
        }
    }
}

/// What is known of the errors of a service at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// All since the beginning.
    pub total: u64,
    /// Those of each of [`WINDOWS`].
    pub counts: [u64; 3],
    /// Whether they become more.
    pub trend: Trend,
    /// The last one, and when it was.
    pub last: Option<(Fault, Moment)>,
}

/// See the [module documentation](self).
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Numbers of slots and their errors, oldest first.
    slots: VecDeque<(u64, u64)>,
    total: u64,
    last: Option<(Fault, Moment)>,
}

impl Tally {
    /// Notes one error.
    pub fn note(&mut self, fault: Fault, now: Moment) {
        self.total = self.total.saturating_add(1);
        self.last = Some((fault, now));
        let slot = slot(now);
        match self.slots.back_mut() {
            // Clocks of several threads differ by moments: what belongs to the slot before counts here.
            Some((last, count)) if *last >= slot => *count = count.saturating_add(1),
            _ => self.slots.push_back((slot, 1)),
        }
        let oldest = first(now, HOUR);
        while self.slots.front().is_some_and(|(slot, _)| *slot < oldest) {
            self.slots.pop_front();
        }
    }

    /// How things stand. What is watched began at the beginning of time.
    pub fn standing(&self, now: Moment) -> Standing {
        let counts = WINDOWS.map(|window| self.count(window, now));
        let known = now.since(Moment(0)).saturating_sub(MINUTE);
        Standing {
            total: self.total,
            counts,
            trend: Trend::of(counts[0], counts[1] - counts[0], known),
            last: self.last,
        }
    }

    fn count(&self, window: Duration, now: Moment) -> u64 {
        let oldest = first(now, window);
        let recent = self.slots.iter().rev();
        let recent = recent.take_while(|(slot, _)| *slot >= oldest);
        recent.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

fn slot(moment: Moment) -> u64 {
    moment.since(Moment(0)).as_secs() / SLOT.as_secs()
}

/// The oldest slot that belongs to a window.
fn first(now: Moment, window: Duration) -> u64 {
    slot(now).saturating_sub(window.as_secs() / SLOT.as_secs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAULT: Fault = Fault::Named("UpstreamTimeout");

    fn at(seconds: u64) -> Moment {
        Moment(0).after(Duration::from_secs(seconds))
    }

    fn note(tally: &mut Tally, errors: u64, now: Moment) {
        for _ in 0..errors {
            tally.note(FAULT, now);
        }
    }

    #[test]
    fn five_and_then_fifty_go_up_and_are_fifty_five() {
        for (first, then) in [(1, 2), (600, 601), (600, 660), (600, 780)] {
            let mut tally = Tally::default();
            note(&mut tally, 5, at(first));
            note(&mut tally, 50, at(then));
            let standing = tally.standing(at(then));
            assert_eq!((standing.total, standing.trend), (55, Trend::Up));
            assert_eq!(standing.counts[2], 55);
            assert_eq!(standing.last, Some((FAULT, at(then))));
        }
    }

    #[test]
    fn what_is_over_goes_down_and_then_is_flat() {
        let mut tally = Tally::default();
        note(&mut tally, 50, at(1_000));
        let shown = |now| {
            let standing = tally.standing(at(now));
            (standing.counts, standing.trend)
        };
        assert_eq!(shown(1_000), ([50, 50, 50], Trend::Up));
        assert_eq!(shown(1_100), ([0, 50, 50], Trend::Down));
        assert_eq!(shown(1_400), ([0, 0, 50], Trend::Flat));
        assert_eq!(shown(4_700), ([0, 0, 0], Trend::Flat));
        assert_eq!(tally.standing(at(9_999)).total, 50);
    }

    #[test]
    fn one_error_is_no_trend_and_neither_is_a_steady_stream() {
        let mut tally = Tally::default();
        note(&mut tally, 2, at(1_000));
        assert_eq!(tally.standing(at(1_000)).trend, Trend::Flat);
        for rate in [1, 7, 1_000] {
            let mut tally = Tally::default();
            for second in 0..400 {
                note(&mut tally, rate, at(second));
                // In the first minute nothing is known to compare with.
                if second > 120 {
                    assert_eq!(tally.standing(at(second)).trend, Trend::Flat, "{second}");
                }
            }
        }
    }

    #[test]
    fn an_endless_stream_of_errors_has_a_bound() {
        let mut tally = Tally::default();
        for second in 0..20_000 {
            tally.note(Fault::Status(500), at(second));
        }
        assert!(tally.slots.len() <= 721, "{}", tally.slots.len());
        assert_eq!(tally.total, 20_000);
        assert_eq!(Fault::Status(500).to_string(), "http_500");
    }

    proptest! {
        /// The reference keeps every error and looks at all of them.
        #[test]
        fn a_window_counts_its_errors_and_at_most_those_of_a_slot_more(
            steps in prop::collection::vec(0_u64..200_000, 1..300),
            later in 0_u64..4_000_000,
        ) {
            let mut tally = Tally::default();
            let mut all = Vec::new();
            let mut now = Moment(0);
            for step in steps {
                now = now.after(Duration::from_millis(step));
                all.push(now);
                tally.note(FAULT, now);
            }
            now = now.after(Duration::from_millis(later));
            let standing = tally.standing(now);
            prop_assert_eq!(standing.total, all.len() as u64);
            for (window, counted) in WINDOWS.into_iter().zip(standing.counts) {
                let within = |length: Duration| {
                    all.iter().filter(|at| now.since(**at) < length).count() as u64
                };
                prop_assert!(within(window) <= counted && counted <= within(window + SLOT));
            }
        }

        /// More errors now never make a trend look better, more errors before never worse.
        #[test]
        fn trends_follow_the_errors(
            minute in 0_u64..100_000, before in 0_u64..100_000, more in 0_u64..1_000, known in 0_u64..400,
        ) {
            let rank = |minute, before| match Trend::of(minute, before, Duration::from_secs(known)) {
                Trend::Down => 0,
                Trend::Flat => 1,
                Trend::Up => 2,
            };
            prop_assert!(rank(minute + more, before) >= rank(minute, before));
            prop_assert!(rank(minute, before + more) <= rank(minute, before));
        }
    }
}
