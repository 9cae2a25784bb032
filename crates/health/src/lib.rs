//! Health views: one model, rendered when it changes and answered from there.
//!
//! A probe must never wait: not for a dependency, not for a lock, not for a queue. So whoever learns something new puts a
//! [`Snapshot`] on the [`Board`], the documents are rendered once, and a probe takes a finished one in O(1).
//!
//! Liveness says whether Seaworthy itself answers, and nothing else; readiness says whether a request would reach the app.

mod board;
mod snapshot;
mod view;

pub use board::{Answer, Board};
pub use snapshot::{Gate, Snapshot};
pub use view::View;
