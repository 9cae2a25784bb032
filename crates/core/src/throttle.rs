//! How often something may be said that strangers can cause.
//!
//! A log that a client fills at will hides what matters and costs the disk. A few lines of a kind in each window pass; the
//! others are only counted, and the next one that passes carries the count, so that nothing is lost but the repetition.
//!
//! It has no clock: the caller says what time it is.

use std::time::{Duration, Instant};

/// Lets a few through in each window and counts the others.
#[derive(Debug, Clone)]
pub struct Throttle {
    most: u32,
    window: Duration,
    began: Option<Instant>,
    passed: u32,
    held_back: u64,
}

impl Throttle {
    /// Lets `most` through in each `window`.
    pub const fn new(most: u32, window: Duration) -> Throttle {
        Throttle {
            most,
            window,
            began: None,
            passed: 0,
            held_back: 0,
        }
    }

    /// Whether one may pass now, and if so how many were held back since the last that did.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        let over = self
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= self.window);
        if over {
            self.began = Some(now);
            self.passed = 0;
        }
        if self.passed == self.most {
            self.held_back = self.held_back.saturating_add(1);
            return None;
        }
        self.passed += 1;
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_few_pass_and_the_next_window_tells_of_the_others() {
        let mut throttle = Throttle::new(2, SECOND);
        let start = Instant::now();
        let first: Vec<_> = (0..5).map(|_| throttle.pass(start)).collect();
        assert_eq!(first, [Some(0), Some(0), None, None, None]);
        assert_eq!(throttle.pass(start + SECOND / 2), None);
        assert_eq!(throttle.pass(start + SECOND), Some(4));
        assert_eq!(throttle.pass(start + SECOND), Some(0));
    }

    #[test]
    fn nobody_is_counted_twice_and_nobody_is_lost() {
        let mut throttle = Throttle::new(3, SECOND);
        let start = Instant::now();
        let told: u64 = (0..1000)
            .filter_map(|at| throttle.pass(start + Duration::from_millis(at * 7)))
            .map(|held_back| held_back + 1)
            .sum();
        assert_eq!(told + throttle.held_back, 1000);
    }
}
