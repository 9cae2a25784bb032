//! How long answers took, as counts: memory does not grow with the number of requests, and a percentile is right to one in 128.

use std::time::Duration;

/// Counts below this have a place for each microsecond; above it, each doubling has half as many.
const EXACT: u64 = 256;
const HALF: u64 = EXACT / 2;
/// Twelve days, in microseconds: longer ones are counted as that.
const LONGEST: u64 = 1 << 40;

/// How long answers took.
#[derive(Debug, Default)]
pub(super) struct Latency {
    counts: Vec<u64>,
    all: u64,
    longest: Duration,
}

impl Latency {
    /// Counts one.
    pub(super) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
        let place = place(micros.min(LONGEST));
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
        self.all += 1;
        self.longest = self.longest.max(took);
    }

    /// The time within which so many in a thousand were answered.
    pub(super) fn at(&self, per_mille: u64) -> Duration {
        let wanted = (u128::from(self.all) * u128::from(per_mille)).div_ceil(1_000);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= wanted.max(1) {
                return Duration::from_micros(highest(place)).min(self.longest);
            }
        }
        self.longest
    }

    /// The longest.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }
}

fn place(micros: u64) -> usize {
    let doublings = u64::from((micros / EXACT).checked_ilog2().map_or(0, |log| log + 1));
    usize::try_from(doublings * HALF + (micros >> doublings)).unwrap_or(usize::MAX)
}

/// The highest value that is counted at a place.
fn highest(place: usize) -> u64 {
    let place = place as u64;
    if place < EXACT {
        return place;
    }
    let doublings = place / HALF - 1;
    let within = place - doublings * HALF;
    ((within + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_counted_where_it_is_found_again() {
        let mut before = 0;
        for micros in (0..3_000).chain([65_535, 65_536, 1 << 20, (1 << 30) + 7, LONGEST]) {
            let found = highest(place(micros));
            assert!(
                found >= micros && found - micros <= micros / 128,
                "{micros} {found}"
            );
            assert!(place(micros) >= before, "{micros}");
            before = place(micros);
        }
    }

    #[test]
    fn percentiles_are_those_of_what_was_counted() {
        let mut latency = Latency::default();
        assert_eq!(latency.at(500), Duration::ZERO);
        for millis in 1..=100 {
            latency.record(Duration::from_millis(millis));
        }
        let close = |per_mille: u64, millis: f64| {
            let found = latency.at(per_mille).as_secs_f64() * 1e3;
            assert!((found - millis).abs() <= millis / 100.0, "{found} {millis}");
        };
        close(500, 50.0);
        close(900, 90.0);
        close(990, 99.0);
        assert_eq!(latency.at(1_000), Duration::from_millis(100));
        assert_eq!(latency.longest(), Duration::from_millis(100));
    }
}
