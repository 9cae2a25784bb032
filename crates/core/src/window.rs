//! How many events there were in the last so-and-so long: a sliding window log.
//!
//! A window that begins anew each minute lets twice its limit pass around the turn of the minute; a log does not. It keeps
//! the time of every event of the window to the millisecond, events of one millisecond together, and never more than are
//! needed to say that the limit is exceeded. So it costs at most eight bytes for each event it may have to remember, and
//! nothing for a key that is quiet.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;

const MILLISECOND: u64 = 1_000_000;

/// The events of one key.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// When, in milliseconds that wrap after 49 days, and how many; oldest first.
    events: VecDeque<(u32, u32)>,
    total: u32,
}

/// The longest window: the milliseconds of a log wrap, and must not lap themselves.
pub const LONGEST: Duration = Duration::from_secs(7 * 86_400);

impl Window {
    /// Notes one event and returns how many there were within `length`, this one included. More than `most` + 1 are not
    /// told apart, so that nobody's log grows for ever.
    pub fn note(&mut self, now: Moment, length: Duration, most: u32) -> u32 {
        self.forget(now, length);
        if self.total <= most {
            let now = tick(now);
            match self.events.back_mut() {
                Some((last, count)) if *last == now => *count += 1,
                _ => self.events.push_back((now, 1)),
            }
            self.total += 1;
        } else {
            // The oldest event makes room for this one: what counts is that the newest `most` + 1 are known.
            self.drop_oldest();
            return self.note(now, length, most);
        }
        self.total
    }

    /// How many there were within `length`.
    pub fn count(&mut self, now: Moment, length: Duration) -> u32 {
        self.forget(now, length);
        self.total
    }

    /// Whether nothing is remembered. What has aged counts until the next look.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn forget(&mut self, now: Moment, length: Duration) {
        let now = tick(now);
        let length = u32::try_from(length.min(LONGEST).as_millis()).unwrap_or(u32::MAX);
        while let Some((at, count)) = self.events.front() {
            let age = now.wrapping_sub(*at);
            // Clocks of several threads differ by moments: an event of the future is not old.
            if age < length || age > u32::MAX / 2 {
                break;
            }
            self.total -= count;
            self.events.pop_front();
        }
        if self.events.is_empty() && self.events.capacity() > 0 {
            self.events = VecDeque::new();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, count)) = self.events.front_mut() {
            *count -= 1;
            self.total -= 1;
            if *count == 0 {
                self.events.pop_front();
            }
        }
    }
}

fn tick(moment: Moment) -> u32 {
    let milliseconds = moment.0 / MILLISECOND;
    u32::try_from(milliseconds & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(milliseconds: u64) -> Moment {
        Moment(milliseconds * MILLISECOND)
    }

    #[test]
    fn the_turn_of_a_minute_gives_nothing_away() {
        let mut window = Window::default();
        for _ in 0..60 {
            window.note(at(50_000), MINUTE, 100);
        }
        let counts: Vec<u32> = (0..60)
            .map(|_| window.note(at(65_000), MINUTE, 100))
            .collect();
        assert_eq!(counts[39], 100);
        assert_eq!(counts[40], 101);
        assert_eq!(
            window.count(at(110_000), MINUTE),
            60,
            "the first sixty are old"
        );
        assert_eq!(window.count(at(125_000), MINUTE), 0);
        assert!(window.is_empty());
    }

    #[test]
    fn a_flood_costs_no_more_than_the_limit() {
        let mut window = Window::default();
        for event in 0..100_000 {
            let count = window.note(at(event), MINUTE, 100);
            assert!(count <= 101);
        }
        assert!(window.events.len() <= 101);
        assert_eq!(window.count(at(100_000), MINUTE), 101);
    }

    #[test]
    fn the_counter_of_milliseconds_may_wrap() {
        let wrap = u64::from(u32::MAX);
        let mut window = Window::default();
        window.note(at(wrap - 10), MINUTE, 100);
        assert_eq!(window.note(at(wrap + 10), MINUTE, 100), 2);
        assert_eq!(window.count(at(wrap + 60_005), MINUTE), 1);
    }

    proptest! {
        /// The reference keeps every event and looks at all of them.
        #[test]
        fn counts_what_a_plain_list_counts(
            steps in prop::collection::vec(0_u64..4_000, 1..400),
            most in 1_u32..40,
            length in 1_u64..20_000,
        ) {
            let mut window = Window::default();
            let mut all = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step;
                all.push(now);
                let exact = all.iter().filter(|event| now - **event < length).count();
                let exact = u32::try_from(exact).unwrap_or(u32::MAX).min(most + 1);
                prop_assert_eq!(window.note(at(now), Duration::from_millis(length), most), exact);
            }
        }
    }
}
