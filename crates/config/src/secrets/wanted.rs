//! What is wanted of a provider.

use std::sync::Arc;
use std::time::Duration;

use super::Provider;
use crate::secret::Secret;

/// A secret that is wanted, and who gives it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// Who gives it.
    pub provider: Arc<dyn Provider>,
    /// What tells this definition from another of the same name: one with the same mark keeps the value that is known.
    pub mark: Secret,
    /// How long the provider may take.
    pub timeout: Duration,
    /// It is asked for again after so long; never without.
    pub refresh: Option<Duration>,
}
