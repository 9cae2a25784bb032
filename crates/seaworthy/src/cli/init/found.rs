//! What there is to start in a folder.

/// What was found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// What starts the service; nothing when that was not found.
    pub(super) command: Vec<String>,
    /// The file that says so.
    pub(super) place: Option<String>,
    /// What else could be meant.
    pub(super) others: Vec<Vec<String>>,
    /// Whether it listens nowhere.
    pub(super) is_worker: bool,
}
