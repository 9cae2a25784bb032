//! Circuit breakers: who keeps failing is left alone for a while, then asked a few questions, then trusted again.
//!
//! A closed breaker lets every call through and counts what comes of it. When failures reach the figure of its [`Mode`],
//! or slow calls theirs, it opens: calls are refused at once, which spares the caller the wait and the other side the load.
//! After the open time exactly so many probes are let through as the rules say. If all of them succeed it closes; the first
//! that fails opens it again, for longer if the rules double the time.
//!
//! Three mistakes that others made shape it. The probes are reserved in the very step that makes it half-open, and a
//! [`Permit`] gives its place back when it is dropped, so there are never too many probes and never one that is lost; a
//! half-open breaker has a deadline all the same. Each change of state has a generation, which every permit carries: what a
//! call of an earlier state came to says nothing about this one. And a call that was given up counts neither as a success nor
//! as a failure, because whoever hung up proved nothing about the other side.
//!
//! It will not decide what a failure is: whoever holds the permit does. It has no clock and no dice: moments are handed in
//! as functions, which the closed road rarely calls, and jitter follows from a seed.

mod change;
mod circuit;
mod machine;
mod permit;
mod rules;
mod window;

#[cfg(all(test, loom))]
mod interleavings;
#[cfg(all(test, not(loom)))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

pub use change::{Cause, Change};
pub use circuit::{Breaker, Shown, Steer};
pub use permit::Permit;
pub use rules::{Mode, Rules, Slow};

use std::time::Duration;

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Lets every call through and counts.
    Closed,
    /// Refuses every call for a time.
    Open,
    /// Lets a few probes through.
    HalfOpen,
    /// Refuses every call until somebody says otherwise.
    ForcedOpen,
    /// Lets every call through, whatever comes of it, until somebody says otherwise.
    ForcedClosed,
    /// Lets every call through and counts nothing.
    Disabled,
}

impl State {
    /// Every state, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Closed,
        Self::HalfOpen,
        Self::Open,
        Self::ForcedOpen,
        Self::ForcedClosed,
        Self::Disabled,
    ];

    /// The word for it in answers and events.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
            Self::Disabled => "disabled",
        }
    }

    /// The number for it in metrics: 0 lets calls through, 1 a few, 2 none.
    pub const fn level(self) -> u8 {
        match self {
            Self::Closed | Self::ForcedClosed | Self::Disabled => 0,
            Self::HalfOpen => 1,
            Self::Open | Self::ForcedOpen => 2,
        }
    }

    /// Whether calls are refused, if not all then all but a few.
    pub const fn refuses(self) -> bool {
        self.level() > 0
    }
}

/// A call was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When another try may be let through; `None` while somebody holds the breaker open.
    pub after: Option<Duration>,
}
