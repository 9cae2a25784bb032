//! The way out: the app's own calls to other services, through the same breakers and retries as calls to the app.
//!
//! [`Outbound`] is the bottom of such a stack. It speaks HTTP/1.1 to one target, over TLS where the target says so, keeps
//! connections open between calls, and streams bodies both ways. Unlike the way to the app it lives on any runtime and any
//! thread, because outbound calls are few and slow.
//!
//! It follows no redirect, because the app asked for an answer and not for another address, and it switches no protocols.

mod outbound;
mod target;

pub use outbound::{Inbound, Outbound, OutboundBody};
pub use target::{InvalidTarget, Target};
