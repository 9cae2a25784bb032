//! The HTTP edge, the upstream pool, and one folder per tower layer.
//!
//! A request enters through [`edge`], passes layers, and leaves through [`upstream`]; an error on the way becomes a
//! response in [`rescue`] and nowhere else. Layers depend on `http`, `http-body` and `tower` only, box no future and demand
//! no `Send`. [`drain`] and [`rescue`] can be used alone in an axum service; the other layers share their settings within one
//! thread, a worker's, as edge and upstream do.

pub mod abuse;
pub mod ban;
pub mod body;
pub mod concurrency;
pub mod drain;
pub mod edge;
pub mod error;
pub mod exchange;
mod fault;
pub mod gated;
pub mod h1;
pub mod headers;
pub mod identify;
pub mod limit;
pub mod observe;
pub mod rescue;
pub mod reveal;
pub mod size;
pub mod timeout;
pub mod timer;
pub mod upstream;
pub mod views;
