//! `seaworthy run`: the one verb that needs the whole product.

use super::{Global, RunArgs, options};
use crate::run;

/// Runs until the service has stopped. The result is the exit code.
pub(super) fn execute(global: &Global, args: &RunArgs) -> anyhow::Result<u8> {
    let options = options(global, args)?;
    run::serve(options)
}
