//! Tells an observer of every exchange once it is over: metrics and the access log.
//!
//! Over means that the last byte of the body left, or that nobody wants it any more; a body that ends early is reported as
//! cut. The layer measures and hands over; what is counted or written is the [`Observer`](seaworthy_core::exchange::Observer)'s.

mod body;
mod layer;

pub use body::{ObservedBody, Record};
pub use layer::{Observe, ObserveLayer, ResponseFuture};
