//! The files that a verb looks at: those that are named, or those of the configuration.

use std::path::PathBuf;

use crate::config::{Options, written};
use crate::failure::Failure;

/// The files `named`, or those of the configuration.
///
/// # Errors
/// There are none.
pub(super) fn chosen(options: &Options, named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let files = match named.is_empty() {
        true => written(options)?,
        false => named.iter().map(|file| options.cwd.join(file)).collect(),
    };
    if files.is_empty() {
        return Err(Failure::usage("there is no configuration here: name a file").into());
    }
    Ok(files)
}
