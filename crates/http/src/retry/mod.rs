//! Sends a request again when it failed in a way that passes.
//!
//! When and how often is decided in `core::retry`; this keeps what is needed to send again. The body is kept as it passes,
//! up to a bound ([`Kept`]); once it is larger the request is sent no more than once. The head of a good answer ends it:
//! after the first byte for the client nothing is repeated, and neither is a request whose informational answer (1xx) the
//! client has seen. A request that reached an app which then died is not repeated either, because it may be what killed it.
//! An open breaker ends the tries, and refusals of our own are final: whoever refuses means it.
//!
//! The answer that is given up is read to its end meanwhile if it is short, so that its connection serves the next try.

mod kept;
mod layer;
mod plan;

pub use kept::Kept;
pub use layer::{ResponseFuture, Retry, RetryLayer};
pub use plan::{Plan, Tally};
