//! What a stop came to.

use std::time::Duration;

use crate::hooks::Done;

/// The exit code when requests were cut or the app had to be killed.
pub const CUT: u8 = 75;

/// What a stop came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// From the signal to the end.
    pub duration: Duration,
    /// Requests that were under way at the signal and were finished.
    pub inflight_completed: u64,
    /// Requests that were cut.
    pub aborted: u64,
    /// Whether the app had to be killed.
    pub app_killed: bool,
    /// Whether anything had to be ended by force: the app, a hook, or a step that took too long.
    pub forced: bool,
    /// What became of the hooks, in the order they ran.
    pub hooks: Vec<Done>,
    /// The exit code for failing hooks.
    pub fail_exit: u8,
}

impl Summary {
    /// What to exit with.
    pub fn exit_code(&self) -> u8 {
        if self.aborted > 0 || self.app_killed {
            CUT
        } else if self.hooks.iter().any(Done::failed) {
            self.fail_exit
        } else {
            0
        }
    }
}
