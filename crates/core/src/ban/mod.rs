//! Who is shut out for a while, and who comes so often that he will be.
//!
//! Every address has a [sliding window](crate::window); the request that exceeds the threshold blocks it for a time, and
//! each further block within [`Rules::memory`] may last longer than the one before. Addresses of one IPv6 /64 are one, since
//! whoever has one has all of them. A block holds whatever is asked meanwhile: what is refused does not lengthen it.
//!
//! The table is bounded. When it is full of addresses that are blocked or still counted, a newcomer is let through uncounted
//! and that is counted: forgetting somebody else would wipe his slate, and blocking strangers together would let one of
//! them shut out all others. A flood from more addresses than fit is not for this table to stop.

mod network;
mod rules;
mod share;
mod spot;
mod table;

pub use network::{InvalidTarget, Target, key};
pub use rules::{Rules, Verdict};
pub use share::{Changes, Heard, News, Share};
pub use table::{Ban, Cause, Table};

#[cfg(test)]
mod tests;
