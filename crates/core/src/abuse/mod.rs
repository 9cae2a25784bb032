//! Who draws attention: events for each principal, flags, and why.
//!
//! An event is something that honest clients seldom cause: a refusal, a failed login, a body that is not what was agreed, a
//! path that only scanners ask for. Whoever causes so many within a window is flagged. A flag is a remark and blocks nobody
//! unless the rules say so; it stays until it is cleared or its time is over.
//!
//! The table is bounded: when it is full, those who have drawn no attention lately make room, and where there are none the
//! event is counted as not kept.

mod event;
mod watch;

pub use event::{Event, Events};
pub use watch::{Flag, Noted, Rules, Suspect, Watch};

#[cfg(test)]
mod tests;
