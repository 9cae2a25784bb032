//! Signals, as names, as intentions and as a stream.
//!
//! [`Name`] is how a signal is written in a file and shown to people; [`intent::Intent`] is what a series of them means; and
//! [`Signals`] listens to the system. Splitting the meaning from the listening lets the rules (a repeated SIGTERM changes
//! nothing, a second Ctrl+C hurries) be tested without sending any.

mod intent;
mod name;
mod stream;

pub use intent::{Intent, Meaning, SecondInterrupt};
pub use name::{Name, NotASignal};
pub use stream::Signals;
