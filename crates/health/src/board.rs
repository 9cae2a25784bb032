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
pub struct Board(Arc<Hung>);

#[derive(Debug)]
struct Hung {
    newest: ArcSwap<Version>,
    /// They outlive versions: news come by the second, and hanging up new places each time would cost more than the news.
    answers: Box<[ArcSwapOption<Dated>]>,
}

/// A snapshot and its number.
#[derive(Debug)]
struct Version {
    number: u64,
    snapshot: Arc<Snapshot>,
}

/// An answer, and the version and the second that it is of.
#[derive(Debug)]
struct Dated {
    version: u64,
    second: u64,
    answer: Answer,
}

impl Board {
    /// A board with its first snapshot.
    pub fn new(first: Snapshot) -> Self {
        let first = Version {
            number: 0,
            snapshot: Arc::new(first),
        };
        Self(Arc::new(Hung {
            newest: ArcSwap::from_pointee(first),
            answers: std::iter::repeat_with(ArcSwapOption::empty)
                .take(Ask::PLACES)
                .collect(),
        }))
    }

    /// Replaces the snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        self.update(|newest| newest.clone_from(&snapshot));
    }

    /// Changes the newest snapshot. Changes that come at the same time all take effect.
    pub fn update(&self, change: impl Fn(&mut Snapshot)) {
        self.0.newest.rcu(|version| {
            let mut snapshot = (*version.snapshot).clone();
            change(&mut snapshot);
            Version {
                number: version.number + 1,
                snapshot: Arc::new(snapshot),
            }
        });
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.newest.load().snapshot.clone()
    }

    /// The answer to a question; `None` for views that are not documents, and for components that are not there.
    pub fn answer(&self, ask: Ask<'_>, now: SystemTime) -> Option<Answer> {
        let newest = self.0.newest.load();
        let Some(place) = ask.place() else {
            return render::answer(&newest.snapshot, ask, None, now);
        };
        let second = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let kept = &self.0.answers[place];
        let is_new = |kept: &&Arc<Dated>| kept.version == newest.number && kept.second == second;
        if let Some(kept) = kept.load().as_ref().filter(is_new) {
            return Some(kept.answer.clone());
        }
        let answer = render::answer(&newest.snapshot, ask, None, now)?;
        kept.store(Some(Arc::new(Dated {
            version: newest.number,
            second,
            answer: answer.clone(),
        })));
        Some(answer)
    }

    /// The same with what the app itself says of its health as one more component. Nobody else is given this answer.
    pub fn answer_with(&self, ask: Ask<'_>, part: &Component, now: SystemTime) -> Option<Answer> {
        render::answer(&self.0.newest.load().snapshot, ask, Some(part), now)
    }
}
