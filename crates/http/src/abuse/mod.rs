//! Notes who causes what honest clients seldom cause.
//!
//! The layer stands in two places, because what it looks at comes from both sides of authentication: above it, bans and
//! failed logins are held against the address; below it, refused requests, bodies that are not what was agreed and paths
//! that only scanners ask for are held against whoever was recognised. Rate limits are below, so that it sees their refusals.
//! A flag blocks nobody unless the rules say so.

mod layer;

pub use layer::{Abuse, AbuseLayer, Guard, Place, ResponseFuture};
