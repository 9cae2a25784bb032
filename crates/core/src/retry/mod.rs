//! Whether a call that failed is made again, and when.
//!
//! Three things have to agree. The [`Eligible`] methods say what may be done twice; the [`Schedule`] says how long to wait,
//! with jitter, and listens to what the other side asks for; the [`Budget`] lets only a share of all calls be repetitions,
//! because the tries of many callers together are what keeps a struggling service down. And nothing waits past its
//! deadline.
//!
//! It has no clock and no dice: moments and random numbers are handed in.

mod budget;
mod eligible;
mod schedule;

pub use budget::Budget;
pub use eligible::Eligible;
pub use schedule::{Jitter, Schedule};
