//! Bounds how many requests are inside the app at a time, so that it is never asked for more than it can do.
//!
//! Beyond the limit a request waits for a place, for a while; beyond the queue, or that while, it is refused with 503 at once,
//! which costs less than an answer that comes too late to be of use. The limit is fixed or follows the time that answers take,
//! and may be one of the whole service, of a route, or both. A place is held to the end of the answer's body. Event streams and
//! switched protocols give it back with the head: they last for hours and tell nothing of the load. While memory is short, what
//! matters least is refused first, before the kernel kills the app.
//!
//! It stands below rate limits and validation, so that waiting is for requests that will be served. Probes never come here.

mod body;
mod layer;
mod pool;

pub use body::PlaceBody;
pub use layer::{Concurrency, ConcurrencyLayer, ResponseFuture, Rule};
pub use pool::{Pool, Pressure};

#[cfg(test)]
mod tests;
