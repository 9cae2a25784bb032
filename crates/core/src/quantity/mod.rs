//! Quantities as people write them: `250ms`, `15m`, `64KiB`, `100/min`, `none`.
//!
//! A bare number in a file leaves the reader to guess the unit, and the guess is where outages come from. So a duration
//! always carries its unit, and a size may. Parsing is exact: what cannot be held without rounding is refused. Each type
//! prints the shortest text that parses back to the same value.
//!
//! These types hold no policy: whether zero makes sense is for the setting that uses them to say.

mod bound;
mod decimal;
mod duration;
mod rate;
mod share;
mod size;

pub use bound::Bound;
pub use duration::Duration;
pub use rate::Rate;
pub use share::Share;
pub use size::Size;

/// The text is not a quantity of the wanted kind. The message says what is wrong and how to write it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl ParseError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
