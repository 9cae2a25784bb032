//! The keys of an issuer, fetched in the background and kept.
//!
//! One task fetches, [`Jwks::keep`]; requests only look. A token that names a key nobody knows makes the task look again,
//! not more often than every so many seconds, because anybody can send such a token. Old keys go on counting while the
//! issuer cannot be reached, until they are too old: then nobody is let in rather than somebody wrongly.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_core::names::event;
use tokio::sync::{Notify, watch};

use super::key::{Algorithm, KeySet};
use crate::outbound::Client;

/// The largest key set that is read.
pub const MOST: usize = 256 * 1024;
/// How long one fetch may take.
const FETCH: Duration = Duration::from_secs(5);
/// How long a request waits for a fetch that it asked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between a fetch that failed and the next.
const RETRY: Duration = Duration::from_secs(5);

/// Where the keys are.
#[derive(Clone, Debug)]
pub enum Place {
    /// Behind a URL.
    Url(Client),
    /// In a file.
    File(PathBuf),
}

/// How often keys are fetched, and for how long they count.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one fetch to the next.
    pub refresh: Duration,
    /// How old keys may become.
    pub max_stale: Duration,
    /// Unknown names lead to a fetch no more often than this.
    pub least: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(300),
            max_stale: Duration::from_secs(3600),
            least: Duration::from_secs(10),
        }
    }
}

#[derive(Debug)]
pub(super) struct Current {
    pub(super) keys: KeySet,
    /// Changes when the keys do.
    pub(super) generation: u64,
    fetched: Moment,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Jwks {
    place: Place,
    allowed: Vec<Algorithm>,
    pace: Pace,
    clock: Clock,
    current: ArcSwapOption<Current>,
    wanted: Notify,
    fetching: AtomicBool,
    /// Counts fetches that ended, and says when the last one began.
    pub(super) rounds: watch::Sender<(u64, Option<Moment>)>,
}

impl Jwks {
    /// Keys that are not there before [`Jwks::keep`] runs.
    pub fn new(place: Place, allowed: Vec<Algorithm>, pace: Pace, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            place,
            allowed,
            pace,
            clock,
            current: ArcSwapOption::empty(),
            wanted: Notify::new(),
            fetching: AtomicBool::new(false),
            rounds: watch::Sender::new((0, None)),
        })
    }

    /// Fetches for as long as it is polled: the one task that does.
    pub async fn keep(self: Arc<Self>) {
        loop {
            let pause = if self.fetch().await {
                self.pace.refresh
            } else {
                RETRY.min(self.pace.refresh)
            };
            let until = Instant::now() + self.clock.real(pause);
            loop {
                let asked = tokio::time::timeout_at(until.into(), self.wanted.notified());
                if asked.await.is_err() || !self.is_recent() {
                    break;
                }
            }
        }
    }

    /// The keys, unless they are too old or were never there.
    pub(super) fn current(&self) -> Option<Arc<Current>> {
        let current = self.current.load_full()?;
        let age = self.now().since(current.fetched);
        (age <= self.pace.max_stale).then_some(current)
    }

    /// Waits for a fetch, unless there was one just now.
    pub(super) async fn look_again(&self) {
        let mut rounds = self.rounds.subscribe();
        let before = rounds.borrow_and_update().0;
        // One that is under way is as good as another, and one that ended just now has to do.
        if !self.fetching.load(Ordering::Acquire) {
            if self.is_recent() {
                return;
            }
            self.wanted.notify_one();
        }
        let ended = rounds.wait_for(|(rounds, _)| *rounds != before);
        tokio::time::timeout(PATIENCE, ended).await.ok();
    }

    fn is_recent(&self) -> bool {
        let last = self.rounds.borrow().1;
        last.is_some_and(|last| self.now().since(last) < self.pace.least)
    }

    async fn fetch(&self) -> bool {
        let began = self.now();
        self.fetching.store(true, Ordering::Release);
        let fetched = self.read().await;
        let done = fetched.is_ok();
        match fetched {
            Ok(keys) => self.replace(keys, began),
            Err(why) => tracing::warn!(
                event = event::KEYS_FAILED,
                place = self.shown(),
                "the keys of {} cannot be read: {why}",
                self.shown()
            ),
        }
        self.fetching.store(false, Ordering::Release);
        self.rounds.send_modify(|(rounds, last)| {
            *rounds += 1;
            *last = Some(began);
        });
        done
    }

    fn replace(&self, keys: KeySet, fetched: Moment) {
        let before = self.current.load_full();
        // The same names may stand for other keys, so any difference counts.
        let same = before
            .as_ref()
            .is_some_and(|before| before.keys.is_same(&keys));
        let generation = before.map_or(0, |before| before.generation) + u64::from(!same);
        if !same {
            tracing::info!(
                event = event::KEYS_READ,
                place = self.shown(),
                keys = keys.len(),
                "{} has {} keys for tokens",
                self.shown(),
                keys.len()
            );
        }
        self.current.store(Some(Arc::new(Current {
            keys,
            generation,
            fetched,
        })));
    }

    async fn read(&self) -> Result<KeySet, String> {
        let document = match &self.place {
            Place::Url(client) => {
                let answer = client.get(FETCH).await.map_err(|why| why.to_string())?;
                if answer.status != 200 {
                    return Err(format!("it answers {}", answer.status));
                }
                answer.body.to_vec()
            }
            Place::File(path) => tokio::fs::read(path).await.map_err(|why| why.to_string())?,
        };
        let keys = KeySet::from_jwks(&document, &self.allowed).map_err(|why| why.to_string())?;
        if keys.is_empty() {
            return Err("none of its keys fits the algorithms that are allowed".to_owned());
        }
        Ok(keys)
    }

    fn shown(&self) -> String {
        match &self.place {
            Place::Url(client) => client.shown(),
            Place::File(path) => path.display().to_string(),
        }
    }

    fn now(&self) -> Moment {
        self.clock.at(Instant::now())
    }
}
