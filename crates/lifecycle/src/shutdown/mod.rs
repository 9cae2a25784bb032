//! The phases of a stop.
//!
//! signal -> not ready, still serving -> drain -> hooks, last first -> the app -> flush -> summary. [`run()`] walks through
//! them within one budget ([`seaworthy_core::budget`]) and tells an event at each; what it takes to serve, to drain or to
//! stop an app is the business of whoever implements [`Steps`]. The drain is a phase and never a hook: hooks close what
//! requests need.
//!
//! Nothing here can take longer than the grace period. A step that does not come back in time is left behind, which the
//! summary calls `forced`. Somebody in a hurry (a second Ctrl+C) skips what is left of the current phase, never a phase.

mod run;
mod steps;
mod summary;

pub use run::{Plan, run};
pub use steps::{AppEnd, Steps};
pub use summary::{CUT, Summary};
