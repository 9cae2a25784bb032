//! How many requests may be inside at a time, and who waits or is turned away when there are as many.
//!
//! [`Slots`] counts them: a fixed number of places, a bounded queue by priority, and places that come back when their holder is
//! dropped, whatever became of him. [`Adaptive`] finds the number: it lets the limit grow while answers stay as quick as they
//! were, and takes it back when they do not, so that waiting happens here, where it can be bounded, and not inside the app.

mod adaptive;
mod priority;
mod slots;

pub use adaptive::{Adaptive, Bounds, Sample};
pub use priority::Priority;
pub use slots::{Place, Refusal, Slots, Ticket};

#[cfg(all(test, loom))]
mod interleavings;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
