//! One change of a breaker's state, as it is told.

use std::fmt;
use std::time::Duration;

use super::State;
use crate::clock::Moment;

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// So many calls in a row failed.
    InARow {
        /// How many.
        failures: u32,
    },
    /// So many calls failed within the window.
    Within {
        /// How many failed.
        failures: u32,
        /// Of how many.
        calls: u32,
        /// How far back the window looks.
        window: Duration,
    },
    /// So many calls were slow within the window.
    Slow {
        /// How many were slow.
        slow: u32,
        /// Of how many.
        calls: u32,
        /// From when on a call is slow.
        after: Duration,
    },
    /// The open time is over.
    TimeOver,
    /// A probe failed.
    ProbeFailed,
    /// The probes came to no end in time.
    ProbesLost,
    /// So many probes succeeded.
    ProbesSucceeded {
        /// How many.
        probes: u32,
    },
    /// Somebody said so.
    Operator,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InARow { failures: 1 } => f.write_str("a call failed"),
            Self::InARow { failures } => write!(f, "{failures} calls in a row failed"),
            Self::Within {
                failures,
                calls,
                window,
            } => write!(
                f,
                "{failures} of {calls} calls failed within {}",
                crate::quantity::Duration(*window)
            ),
            Self::Slow { slow, calls, after } => write!(
                f,
                "{slow} of {calls} calls took {} or longer",
                crate::quantity::Duration(*after)
            ),
            Self::TimeOver => f.write_str("the open time is over"),
            Self::ProbeFailed => f.write_str("a probe failed"),
            Self::ProbesLost => f.write_str("the probes came to no end in time"),
            Self::ProbesSucceeded { probes: 1 } => f.write_str("the probe succeeded"),
            Self::ProbesSucceeded { probes } => write!(f, "all {probes} probes succeeded"),
            Self::Operator => f.write_str("somebody said so"),
        }
    }
}

/// A breaker went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Moment,
    /// How long it stays so at most: the open time, or the time for probes.
    pub lasts: Option<Duration>,
    /// Grows by one with each change, so that changes told out of order can be put into it.
    pub generation: u32,
}
