//! What the outside learns about a running service: log lines, access lines and metrics.
//!
//! Three roads that never meet, because they have different prices. Log lines are rare and written at once. Access lines
//! are many, so each worker builds them into a buffer of its own and one thread writes whole buffers. Metrics are cells
//! that only their worker writes and only a scrape adds up. None of them can slow a request down: what cannot be written
//! is dropped and counted. Names come from `seaworthy_core::names`, records from `seaworthy_core::exchange`.

pub mod access;
mod json;
pub mod log;
pub mod metrics;
mod stamp;
