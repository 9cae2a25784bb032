//! The breakers of whoever has them, as they stand when they are asked for.
//!
//! They belong to the traffic, which this crate knows nothing of; a document shows them beside the components.

use std::fmt;
use std::sync::Arc;

use crate::Metadata;

type Read = Arc<dyn Fn() -> Metadata + Send + Sync>;

/// Reads the breakers by name. By default there are none.
#[derive(Clone, Default)]
pub struct Breakers(Option<Read>);

impl Breakers {
    /// Asks `read` each time.
    pub fn new(read: impl Fn() -> Metadata + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(read)))
    }

    /// What each of them says now.
    #[must_use]
    pub fn read(&self) -> Metadata {
        self.0.as_ref().map(|read| read()).unwrap_or_default()
    }
}

impl fmt::Debug for Breakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Breakers")
    }
}
