//! Shuts out addresses that ask too often, and those that an operator named.
//!
//! It stands above authentication: guessing keys is what many of those do whom it is for. Views are answered further up, so
//! that no probe and no scrape is ever counted. A request without an address (a unix socket that names nobody) passes.

mod layer;
#[cfg(feature = "redis")]
pub mod redis;

pub use layer::{Ban, BanLayer, Exempts, Guard};
