//! The app's side: which instances there are, connections kept open to them, and the exchange of one request.
//!
//! Every worker has connections of its own, so that no request crosses a thread. A request goes out on the connection
//! that was used last, because that one is the least likely to have idled out. What may be sent twice is decided in
//! [`replay`] and nowhere else. What each instance does with its requests is counted in [`Pulses`].

mod body;
mod connection;
#[cfg(fuzzing)]
pub mod fuzzing;
mod pool;
mod pulse;
pub mod replay;
mod request;
mod response;
mod roster;
mod service;
mod socket;
mod transfer;

pub use body::UpstreamBody;
pub use pool::Config;
pub use pulse::{Pulses, Signs};
pub use roster::{Availability, Endpoint, Roll, Roster, Seat};
pub use service::{ResponseFuture, Upstream};
