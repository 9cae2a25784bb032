//! The registry's logs against real servers.
//!
//! What every log must do stands in `contract`; each server adds what is its own.

mod contract;
mod directory;
mod kafka;
mod postgres;
