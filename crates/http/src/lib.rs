//! The HTTP edge, the upstream pool, and one folder per tower layer.
//!
//! A request enters through [`edge`], passes layers, and leaves through [`upstream`]; an error on the way becomes a
//! response in [`rescue`] and nowhere else. Layers depend on `http`, `http-body` and `tower` only, box no future and demand
//! no `Send`. Each can be used alone in an axum service, on a runtime that steals work too; only edge and upstream keep to one thread,
//! a worker's.

pub mod abuse;
pub mod attempt;
pub mod auth;
pub mod aws;
pub mod ban;
pub mod body;
pub mod breaker;
pub mod concurrency;
pub mod cover;
pub mod drain;
pub mod edge;
pub mod egress;
pub mod error;
pub mod exchange;
pub mod fallback;
mod fault;
pub mod flags;
pub mod gated;
pub mod h1;
pub mod headers;
pub mod identify;
pub mod limit;
mod media;
pub mod observe;
pub mod outbound;
pub mod overlay;
pub mod rescue;
pub mod retry;
pub mod reveal;
pub mod size;
pub mod timeout;
pub mod timer;
pub mod upstream;
pub mod validate;
pub mod vault;
pub mod views;
