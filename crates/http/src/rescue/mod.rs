//! The only place where an error becomes a response.
//!
//! Every refusal of every layer is one JSON document of one shape, so that a client needs one parser and an operator one
//! search. The app's own errors never come through here.

mod format;
mod layer;

pub use format::{Envelope, Format, Problem};
pub use layer::{Rescue, RescueLayer, ResponseFuture, Watch};
