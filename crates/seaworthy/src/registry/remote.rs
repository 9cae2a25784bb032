//! What the one who reads the log and the one who reloads tell each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seaworthy_config::registry::{Content, Outcome};
use serde::{Deserialize, Serialize};

/// See the [module documentation](self). Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Remote(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    wanted: Option<Arc<Content>>,
    undone: Option<Undone>,
}

/// A content that did harm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undone {
    /// What did.
    pub content: Option<Content>,
    /// What shows it.
    pub reason: String,
    /// What holds instead; the same, when nothing else could.
    pub holds: Option<Content>,
}

impl Undone {
    /// What this instance says became of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.content == self.holds {
            true => Outcome::Failed,
            false => Outcome::Reverted,
        }
    }
}

impl Remote {
    /// Says what is to hold from now on.
    pub fn want(&self, content: Option<Arc<Content>>) {
        let mut said = self.said();
        said.wanted = content;
        said.undone = None;
    }

    /// What is to hold.
    #[must_use]
    pub fn wanted(&self) -> Option<Arc<Content>> {
        self.said().wanted.clone()
    }

    /// Says that what held was taken back.
    pub fn undo(&self, undone: Undone) {
        self.said().undone = Some(undone);
    }

    /// What was taken back since something was wanted last.
    #[must_use]
    pub fn undone(&self) -> Option<Undone> {
        self.said().undone.clone()
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
