//! A file that a setting names.

use std::path::Path;

use crate::failure::Failure;

/// The text of a file that a setting names.
pub(super) fn read(setting: &str, path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "{setting}: {} cannot be read: {error}",
            path.display()
        ))
    })
}
