//! The phases that a process goes through, from its first breath to its last.
//!
//! The order of the variants is the order of time: a process only ever moves forward, except that a running one may be
//! starting again when its app is restarted, which is the app's state and not the process's.

use std::fmt;

use serde::{Serialize, Serializer};

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// Not ready for the first time yet.
    Starting = 0,
    /// Serving.
    Running = 1,
    /// Told to stop: not ready any more, but still serving while balancers learn of it.
    Propagating = 2,
    /// New requests are refused; those in flight finish.
    Draining = 3,
    /// Hooks run, last registered first.
    Hooks = 4,
    /// The app is being stopped.
    Stopping = 5,
    /// Logs and metrics are written out.
    Flushing = 6,
    /// Over.
    Stopped = 7,
}

impl Phase {
    /// Every phase in the order of time.
    pub const ALL: [Phase; 8] = [
        Phase::Starting,
        Phase::Running,
        Phase::Propagating,
        Phase::Draining,
        Phase::Hooks,
        Phase::Stopping,
        Phase::Flushing,
        Phase::Stopped,
    ];

    /// The word that logs, metrics and `status` use.
    pub const fn word(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Propagating => "propagating",
            Phase::Draining => "draining",
            Phase::Hooks => "hooks",
            Phase::Stopping => "stopping",
            Phase::Flushing => "flushing",
            Phase::Stopped => "stopped",
        }
    }

    /// Whether a stop has been asked for.
    pub fn is_shutting_down(self) -> bool {
        self >= Phase::Propagating
    }

    /// Whether new requests are still served.
    pub fn accepts_requests(self) -> bool {
        self < Phase::Draining
    }

    /// The phase with this number, as it is kept in an atomic.
    pub fn from_number(number: u8) -> Option<Phase> {
        Phase::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for Phase {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_numbers_and_words_agree() {
        for (number, phase) in (0_u8..).zip(Phase::ALL) {
            assert_eq!(Phase::from_number(number), Some(phase));
            assert_eq!(phase as u8, number);
            assert_eq!(phase.to_string(), phase.word());
        }
        assert_eq!(Phase::from_number(8), None);
        assert!(Phase::ALL.is_sorted());
    }

    #[test]
    fn serves_until_the_drain() {
        assert!(!Phase::Running.is_shutting_down());
        assert!(Phase::Propagating.is_shutting_down());
        assert!(Phase::Propagating.accepts_requests());
        assert!(!Phase::Draining.accepts_requests());
    }
}
