//! Where the newest documents hang.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;

use crate::{Snapshot, View};

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The JSON document.
    pub body: Arc<str>,
}

/// The newest snapshot and its documents. Clones are the same board.
#[derive(Clone, Debug)]
pub struct Board(Arc<ArcSwap<Hung>>);

#[derive(Debug)]
struct Hung {
    snapshot: Snapshot,
    live: Answer,
    ready: Answer,
    startup: Answer,
}

impl Hung {
    fn new(snapshot: Snapshot) -> Self {
        let now = SystemTime::now();
        let [live, ready, startup] = [View::Live, View::Ready, View::Startup]
            .map(|view| render(&snapshot, view, now).unwrap_or(NOTHING.clone()));
        Self {
            snapshot,
            live,
            ready,
            startup,
        }
    }
}

static NOTHING: std::sync::LazyLock<Answer> = std::sync::LazyLock::new(|| Answer {
    code: 404,
    body: Arc::from("{}"),
});

fn render(snapshot: &Snapshot, view: View, now: SystemTime) -> Option<Answer> {
    let (code, document) = snapshot.render(view, now)?;
    Some(Answer {
        code,
        body: document.to_string().into(),
    })
}

impl Board {
    /// A board with its first snapshot.
    pub fn new(first: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Hung::new(first))))
    }

    /// Replaces the snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(Hung::new(snapshot)));
    }

    /// Changes the newest snapshot. For the one task that owns the state: two at once could lose a change.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = self.snapshot();
        change(&mut snapshot);
        self.publish(snapshot);
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Snapshot {
        self.0.load().snapshot.clone()
    }

    /// The answer of a view; `None` for views that are not documents. The probes' are finished, the others are rendered.
    pub fn answer(&self, view: View) -> Option<Answer> {
        let hung = self.0.load();
        match view {
            View::Live => Some(hung.live.clone()),
            View::Ready => Some(hung.ready.clone()),
            View::Startup => Some(hung.startup.clone()),
            other => render(&hung.snapshot, other, SystemTime::now()),
        }
    }
}
