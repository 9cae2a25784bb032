//! An instance, as it says of itself.

use std::time::Duration;

use seaworthy_config::registry::Ack;
use seaworthy_core::canary::Tally;

/// An instance that has said nothing for so long is no member any more.
const SILENCE: Duration = Duration::from_secs(45);

/// An instance that was heard of.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it said last.
    pub ack: Ack,
    /// How long ago that was.
    pub age: Duration,
}

impl Member {
    /// Whether it is likely to be there.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.age < SILENCE
    }

    /// How it fared since its start.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            requests: self.ack.requests,
            failed: self.ack.failed,
            seconds: self.ack.total_ms / 1_000.0,
        }
    }
}
