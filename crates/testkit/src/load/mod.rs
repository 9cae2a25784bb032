//! Load that counts every failure, and the balancer that a rolling restart happens behind.

mod balancer;
mod closed_loop;

pub use balancer::{Balancer, Counts};
pub use closed_loop::{Load, Report, Running};
