//! Health as pure decisions: what a result means, when it counts, what the whole is, and who is to blame.
//!
//! Three things are kept apart that are often one. A check's [`State`] is what was found. Its [`Status`] is the word that
//! people read. Whether it closes the gate of readiness follows from the state and from how much the check matters, never
//! from the word: a check may be worded `degraded` and close the gate all the same.
//!
//! Who is to blame is a fourth question, and only its answer may restart anything: see [`verdict()`].

mod aggregate;
mod hysteresis;
mod progress;
mod status;
mod verdict;

pub use aggregate::{Part, Whole, whole};
pub use hysteresis::{Hysteresis, Steadiness};
pub use progress::{Progress, Seen, Stall};
pub use status::{About, State, Status, Weight, Words};
pub use verdict::{App, Verdict, verdict};
