//! Makes any service fit for production.

pub mod cli;
pub mod instance;
pub mod launch;
pub mod mock;
