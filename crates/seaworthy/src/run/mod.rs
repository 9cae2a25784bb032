//! `seaworthy run`: from a configuration to a serving process, and back to none.
//!
//! One road: load -> bind -> build -> start workers -> start the app -> serve until told to stop -> shut down. The public port
//! is bound first, so that a taken one is found before anything is started, and closed last.

mod announce;
mod app;
mod boot;
mod budget;
mod checks;
mod control;
mod described;
mod face;
mod judge;
mod last_word;
mod plane;
mod shutdown;
mod standing;
mod state_dir;

use seaworthy_config::Loaded;

use crate::config::{Config, Options};

pub use last_word::LastWord;

/// Runs until the service has stopped. The result is the exit code.
///
/// # Errors
/// When the service cannot be started.
pub fn serve(loaded: Loaded<Config>, options: Options) -> anyhow::Result<u8> {
    // One thread for everything but requests: children must be started from the main thread, and are, because tasks of this
    // runtime run nowhere else.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let last_word = LastWord::of(loaded.value.shutdown.termination_log.as_ref());
    let ended = runtime.block_on(boot::run(loaded, options, last_word.clone()));
    ended.inspect_err(|error| last_word.not_started(error))
}
