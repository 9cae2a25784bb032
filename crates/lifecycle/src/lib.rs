//! Child supervision, signals, reaping and shutdown phases.
//!
//! This is the control plane of a service: it starts processes and notices their end ([`reap`]), keeps the app alive
//! ([`supervise`]), turns signals into intentions ([`signals`]) and walks through the phases of a stop within one budget
//! ([`shutdown`], [`hooks`]). Services written in Rust use [`service::Lifecycle`] and [`tasks::Tasks`] and need no child.
//!
//! It decides nothing about time by itself: when to restart and how a grace period is shared out are pure functions in the
//! core crate. It knows nothing of HTTP in front or behind, except for the one request that an HTTP hook sends.
//!
//! Children must be started from the main thread, see [`spawn`]; so everything here is meant for a current-thread runtime
//! that the main thread drives.

pub mod child;
pub mod exit;
pub mod hooks;
pub mod journal;
pub mod listening;
pub mod oom;
pub mod patience;
pub mod reap;
pub mod service;
pub mod shutdown;
pub mod signals;
pub mod spawn;
pub mod supervise;
pub mod suspended;
pub mod tasks;
pub mod vitals;
