//! How much of something somebody may have: buckets of tokens, and a table of them that cannot grow.
//!
//! A [`Quota`] is a bucket's size and refill. The state of one bucket is one number, changed in one atomic step, so a decision
//! takes no lock and cannot be torn. [`Buckets`] keeps one for each key, in a table of fixed size: what grows with the outside
//! world has a bound, and room is made only by dropping buckets that are full again, because dropping any other would be a
//! present to its owner. When there is no room either, new keys share one bucket.
//!
//! A [`Lease`] is a slice of a bucket that is kept elsewhere, taken once and spent here.
//!
//! It has no clock: the caller says what time it is. A key is a number that the caller made of whatever names somebody, with a
//! hash that strangers cannot steer.

mod buckets;
mod lease;
mod refill;
mod spec;
mod sync;
mod table;

use std::time::Duration;

pub use buckets::Buckets;
pub use lease::{Lease, Spend, Terms};
pub use refill::{Quota, QuotaError, Refill};
pub use spec::{PerSecond, Spec};

/// What a bucket says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whole tokens that are left.
    pub remaining: u64,
    /// How long until the bucket is full again, if nothing more is taken; [`Duration::MAX`] for never.
    pub full_in: Duration,
}

/// What became of a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They were taken; so the bucket stands now.
    Taken(Standing),
    /// Nothing was taken.
    Refused {
        /// How the bucket stands.
        standing: Standing,
        /// When as many tokens could be there at the earliest; `None` when never.
        retry_after: Option<Duration>,
    },
}

impl Decision {
    /// Whether the tokens were taken.
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken(_))
    }

    /// How the bucket stands after the decision.
    pub const fn standing(&self) -> Standing {
        match self {
            Self::Taken(standing) | Self::Refused { standing, .. } => *standing,
        }
    }
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
