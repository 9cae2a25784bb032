//! The public port, its workers, and the admin port.
//!
//! The public port is bound once, exclusively, before anything else happens, and is not closed until the last drained
//! request is out. Each worker is a thread with a runtime of its own that accepts from that one socket.

mod balance;
mod bind;
mod courtesy;
mod front;
mod newest;
mod observer;
mod pause;
pub mod public;
mod room;
pub mod tls;
mod worker;

pub use bind::{BindError, bind};
