//! The limits of the app's own calls. They stay for as long as the process, as the ways out do.

use std::sync::{Arc, Mutex, PoisonError};

use seaworthy_http::limit::Policy;

/// See the [module documentation](self). Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<Vec<Arc<Policy>>>>);

impl Calls {
    /// Shows one from now on.
    pub fn add(&self, policy: Arc<Policy>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(policy);
    }

    pub(super) fn all(&self) -> Vec<Arc<Policy>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }
}
