//! Where the newest documents hang.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;

use crate::{Ask, Component, Snapshot, render};

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The media type of the body.
    pub media_type: &'static str,
    /// The JSON document.
    pub body: Bytes,
}

/// The newest snapshot and its documents. Clones are the same board.
///
/// A document is rendered when it is first asked for and hangs there until there is news, or a second is over: times in it
/// have that resolution. Nobody waits for anybody; at worst two threads render the same document.
#[derive(Clone, Debug)]
pub struct Board(Arc<ArcSwap<Hung>>);

#[derive(Debug)]
struct Hung {
    snapshot: Snapshot,
    answers: Box<[ArcSwapOption<Dated>]>,
}

/// An answer and the second that it is of.
#[derive(Debug)]
struct Dated {
    second: u64,
    answer: Answer,
}

impl Hung {
    fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            answers: std::iter::repeat_with(ArcSwapOption::empty)
                .take(Ask::PLACES)
                .collect(),
        }
    }
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

    /// Changes the newest snapshot. Changes that come at the same time all take effect.
    pub fn update(&self, change: impl Fn(&mut Snapshot)) {
        self.0.rcu(|hung| {
            let mut snapshot = hung.snapshot.clone();
            change(&mut snapshot);
            Hung::new(snapshot)
        });
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Snapshot {
        self.0.load().snapshot.clone()
    }

    /// The answer to a question; `None` for views that are not documents, and for components that are not there.
    pub fn answer(&self, ask: Ask<'_>, now: SystemTime) -> Option<Answer> {
        let hung = self.0.load();
        let Some(place) = ask.place() else {
            return render::answer(&hung.snapshot, ask, None, now);
        };
        let second = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let kept = &hung.answers[place];
        if let Some(kept) = kept.load().as_ref().filter(|kept| kept.second == second) {
            return Some(kept.answer.clone());
        }
        let answer = render::answer(&hung.snapshot, ask, None, now)?;
        kept.store(Some(Arc::new(Dated {
            second,
            answer: answer.clone(),
        })));
        Some(answer)
    }

    /// The same with what the app itself says of its health as one more component. Nobody else is given this answer.
    pub fn answer_with(&self, ask: Ask<'_>, part: &Component, now: SystemTime) -> Option<Answer> {
        render::answer(&self.0.load().snapshot, ask, Some(part), now)
    }
}
