//! Ends exchanges that take too long: to the first byte of the answer, in all, or between two pieces of it.
//!
//! Unlike tower's own timeout a late answer is an error of the catalogue (504), and bodies are watched as well: a stream
//! that stopped moving ends visibly cut. Event streams and switched protocols have a silence of their own, because there
//! silence is normal.

mod body;
mod layer;

use std::time::Duration;

pub use body::TimedBody;
pub use layer::{ResponseFuture, Timeout, TimeoutLayer};

/// The limits of one route; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// To the head of the answer.
    pub response: Option<Duration>,
    /// To the end of the answer.
    pub total: Option<Duration>,
    /// Between two pieces of an ordinary answer.
    pub idle: Option<Duration>,
    /// Between two pieces of an event stream.
    pub events: Option<Duration>,
    /// Between two pieces, either way, once the protocol was switched.
    pub tunnel: Option<Duration>,
}
