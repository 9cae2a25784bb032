//! The bodies that travel through the stack: what the edge hands in, and what the bottom hands back.
//!
//! Both are plain enums and not boxed trait objects: a boxed body costs an allocation and an indirect call per frame. A
//! connection that switched protocols travels as these two bodies as well, raw bytes one way and raw bytes the other, so
//! that no layer needs to know of tunnels.

mod request;
mod response;

pub use request::{RequestBody, Source};
pub use response::ResponseBody;

/// A request body that can turn into the raw bytes of a connection once the protocol has been switched.
pub trait Tunnel {
    /// Lets the body yield everything that the client sends from now on, without framing.
    fn start_tunnel(&mut self);
}
