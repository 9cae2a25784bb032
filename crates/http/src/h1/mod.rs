//! HTTP/1 on the wire, the same for both sides of the proxy: framing, chunks and header rules.
//!
//! Strict where RFC 9112 lets a recipient choose between rejecting and repairing: whatever two parsers could read
//! differently is refused, because a proxy and the app behind it are two parsers. It reads heads with `httparse` and adds
//! what that crate leaves to its user.

pub mod chunked;
pub mod decoder;
pub mod field;
pub mod framing;
pub mod output;
pub mod recent;
pub mod spare;
