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
mod parts;
mod plane;
mod registry;
mod reload;
mod shutdown;
mod standing;
mod state_dir;
mod status;

use seaworthy_config::Loaded;

use crate::config::{Config, Options};
use crate::secrets::{self, Keeper};

pub use last_word::LastWord;

/// Runs until the service has stopped. The result is the exit code.
///
/// # Errors
/// When the service cannot be started.
pub fn serve(options: Options) -> anyhow::Result<u8> {
    let (loaded, keeper) = load(&options)
        // What could not be read cannot say where to write that, so it is the usual place or none.
        .inspect_err(|error| LastWord::of(None).not_started(error))?;
    // One thread for everything but requests: children must be started from the main thread, and are, because tasks of this
    // runtime run nowhere else.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let last_word = LastWord::of(loaded.value.shutdown.termination_log.as_ref());
    let ended = runtime.block_on(boot::run(loaded, keeper, options, last_word.clone()));
    // Nobody waits any more for a file on a network that is gone.
    runtime.shutdown_background();
    ended.inspect_err(|error| last_word.not_started(error))
}

/// The configuration, and the secrets that it names. They are asked for before there is anything that they could disturb.
fn load(options: &Options) -> anyhow::Result<(Loaded<Config>, Keeper)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let keeper = Keeper::default();
    let complete = runtime.block_on(secrets::load(options, keeper.secrets()));
    // A file on a network that is gone may never be read, and nobody waits for it any more.
    runtime.shutdown_background();
    let complete = complete?;
    keeper.commit(complete.prepared, &complete.loaded);
    Ok((complete.loaded, keeper))
}
