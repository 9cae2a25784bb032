//! A limit that follows the time that answers take.
//!
//! Little's law says how many requests are inside a service that takes so long and answers so many: beyond what it can do at a
//! time, more of them inside only make each wait longer. So the limit is held against the ratio of two times (the gradient of
//! Netflix's concurrency-limits, taken at the 90th percentile as failsafe-go does): what answers took in the last window, and
//! what they take when there is no crowd. As long as the first is below one and a half of the second the limit grows by its
//! square root, and beyond that it shrinks with the ratio, by half at most.
//!
//! What others got wrong and is kept here: requests that failed for being late shrink the limit, however alike their times
//! are; answers of a kind that says nothing about load (fast refusals) are not counted; the limit does not grow while nobody
//! uses it; and its floor is one, because an app that can do one thing at a time is an app.

use std::time::Duration;

use crate::clock::{Moment, nanos};

/// A window has at least so many answers.
const SAMPLES: u32 = 50;
/// And is at least so long, so that it has seen more than one burst.
const SHORTEST: Duration = Duration::from_millis(500);
/// A window that is longer is judged with what it has.
const LONGEST: Duration = Duration::from_secs(10);
/// Answers may take so many times as long as without a crowd.
const TOLERANCE: f64 = 1.5;
/// How much of the way to a new limit is gone at a time.
const SMOOTHING: f64 = 0.3;
/// What late answers leave of the limit.
const BACKOFF: f64 = 0.9;
/// How fast the time without a crowd follows a service that became slower for good: so much of the gap in each quiet window.
const DRIFT: f64 = 0.1;

/// Where the limit may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Where it begins.
    pub initial: u32,
    /// It never falls below.
    pub least: u32,
    /// It never rises above.
    pub most: u32,
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// It was answered after this time.
    Answered(Duration),
    /// It was given up for being late, or refused for want of room further down.
    Dropped,
}

/// See the [module documentation](self).
#[derive(Debug, Clone)]
pub struct Adaptive {
    bounds: Bounds,
    limit: f64,
    /// The 90th percentile without a crowd, in nanoseconds; 0 before the first window.
    calm: f64,
    window: Window,
}

#[derive(Debug, Clone)]
struct Window {
    began: Option<Moment>,
    times: Histogram,
    dropped: bool,
    /// The most requests that were inside at a time.
    busiest: u32,
}

impl Adaptive {
    /// Begins at `bounds.initial`.
    pub fn new(bounds: Bounds) -> Self {
        let least = bounds.least.max(1);
        let bounds = Bounds {
            least,
            most: bounds.most.max(least),
            ..bounds
        };
        Self {
            bounds,
            limit: f64::from(bounds.initial.clamp(bounds.least, bounds.most)),
            calm: 0.0,
            window: Window::new(),
        }
    }

    /// The limit.
    pub fn limit(&self) -> u32 {
        // It lies between two whole numbers of 32 bits.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let limit = self.limit.round() as u32;
        limit.clamp(self.bounds.least, self.bounds.most)
    }

    /// Takes in what became of a request while `inside` were inside, itself among them. Returns the new limit when a window is
    /// complete.
    pub fn take_in(&mut self, sample: Sample, inside: u32, now: Moment) -> Option<u32> {
        let window = &mut self.window;
        let began = *window.began.get_or_insert(now);
        window.busiest = window.busiest.max(inside);
        match sample {
            Sample::Answered(time) => window.times.add(nanos(time)),
            Sample::Dropped => window.dropped = true,
        }
        let age = now.since(began);
        let full = window.times.count >= SAMPLES && age >= SHORTEST;
        if !full && age < LONGEST && !(window.dropped && age >= SHORTEST) {
            return None;
        }
        let window = std::mem::replace(&mut self.window, Window::new());
        self.judge(&window);
        Some(self.limit())
    }

    fn judge(&mut self, window: &Window) {
        let late = window.times.percentile_90();
        if window.dropped {
            self.limit = (self.limit * BACKOFF).max(f64::from(self.bounds.least));
            return;
        }
        if late <= 0.0 {
            return;
        }
        let crowded = f64::from(window.busiest) * 2.0 >= self.limit;
        if self.calm <= 0.0 || late < self.calm {
            self.calm = late;
        } else if !crowded {
            // Nobody waits for anybody here, so the app itself is slower now.
            self.calm += (late - self.calm) * DRIFT;
        }
        let gradient = (TOLERANCE * self.calm / late).clamp(0.5, 1.0);
        let wished = self.limit * gradient + self.limit.sqrt();
        if wished > self.limit && !crowded {
            return;
        }
        let next = self.limit + (wished - self.limit) * SMOOTHING;
        self.limit = next.clamp(f64::from(self.bounds.least), f64::from(self.bounds.most));
    }
}

impl Window {
    fn new() -> Self {
        Self {
            began: None,
            times: Histogram::new(),
            dropped: false,
            busiest: 0,
        }
    }
}

/// Times in buckets that are an eighth of a power of two wide.
#[derive(Debug, Clone)]
struct Histogram {
    counts: [u32; Self::BUCKETS],
    count: u32,
}

impl Histogram {
    const BUCKETS: usize = 512;

    fn new() -> Self {
        Self {
            counts: [0; Self::BUCKETS],
            count: 0,
        }
    }

    fn add(&mut self, nanos: u64) {
        self.counts[Self::place(nanos)] += 1;
        self.count += 1;
    }

    /// The power of two in the upper bits, the next three bits below it in the lower ones.
    fn place(nanos: u64) -> usize {
        let nanos = nanos.max(8);
        let power = nanos.ilog2();
        let fraction = (nanos >> (power - 3)) & 7;
        usize::try_from(u64::from(power) * 8 + fraction).unwrap_or(Self::BUCKETS - 1)
    }

    /// The middle of the bucket that the 90th percentile falls into, in nanoseconds; 0 when there is nothing.
    fn percentile_90(&self) -> f64 {
        let rank = (u64::from(self.count) * 9).div_ceil(10);
        let mut seen = 0_u64;
        for (place, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank && seen > 0 {
                let (power, fraction) = (place / 8, place % 8);
                let power = i32::try_from(power).unwrap_or_default();
                let eighths = u32::try_from(fraction).map_or(0.0, f64::from);
                return 2f64.powi(power) * (1.0 + (eighths + 0.5) / 8.0);
            }
        }
        0.0
    }
}
