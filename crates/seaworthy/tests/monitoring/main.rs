//! Monitoring tests: what the log and the metrics of the real binary say is what happened.
//!
//! What needs an installed tool stands in a module called `real`, which `scripts/test --fast` leaves out.

mod access;
mod events;
mod exposition;
mod metrics;
