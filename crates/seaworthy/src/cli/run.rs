//! `seaworthy run`: the one verb that needs the whole product.

use super::{Global, RunArgs, options};
use crate::config::Config;
use crate::run::{self, LastWord};

/// Runs until the service has stopped. The result is the exit code.
pub(super) fn execute(global: &Global, args: &RunArgs) -> anyhow::Result<u8> {
    let options = options(global, args)?;
    let loaded = Config::load(&options)
        .map_err(anyhow::Error::from)
        // What could not be read cannot say where to write that, so it is the usual place or none.
        .inspect_err(|error| LastWord::of(None).not_started(error))?;
    run::serve(loaded, options)
}
