//! Real processes under test: started on free ports, watched, and gone when the test ends.
//!
//! [`Seaworthy`] is the binary under test, [`Group`] any program with everything it started, [`Usage`] what a process
//! costs right now.

mod group;
mod instance;
mod output;
mod seaworthy;
mod steer;
mod usage;

pub use group::{Ended, Group};
pub use instance::Instance;
pub use output::Output;
pub use rustix::process::Signal;
pub use seaworthy::{Builder, Seaworthy};
pub use steer::kill;
pub use usage::{Process, Usage, children, descendants, zombies};
