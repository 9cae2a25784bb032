//! Whether somebody who cannot be asked gives signs of life: a worker that pushes, or touches a file.
//!
//! [`Beats`] is where pushed ones arrive. Whoever takes them from outside decides who may send them; only so many names are
//! kept, so that nobody can fill the memory with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use schemars::JsonSchema;
use seaworthy_core::health::About;
use seaworthy_core::quantity::Duration;
use serde::{Deserialize, Serialize};

use super::{Around, Fault, Probe};
use crate::{Check, Outcome, clock};

/// More names are not kept.
const MOST_NAMES: usize = 1024;
/// A longer name is not one.
const LONGEST_NAME: usize = 128;

/// Waits for signs of life of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// The name under which heartbeats are pushed. Default: none are awaited.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub worker: Option<String>,
    /// A file that is touched as a heartbeat; the time of its last change counts. Default: none.
    #[serde(default)]
    pub file: Option<String>,
    /// Unhealthy when the last one is older. Default `60s`.
    #[serde(default = "a_minute")]
    pub stale_after: Duration,
}

const fn a_minute() -> Duration {
    Duration::from_secs(60)
}

/// The last heartbeat of each worker. Clones are the same registry.
#[derive(Clone, Debug, Default)]
pub struct Beats(Arc<Mutex<BTreeMap<String, Beat>>>);

/// A moment, for clocks that are set and for those that are not.
#[derive(Clone, Copy, Debug)]
struct Beat {
    at: SystemTime,
    instant: Instant,
}

impl Beats {
    /// The registry of this process.
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Beats> = OnceLock::new();
        GLOBAL.get_or_init(Self::default)
    }

    /// `worker` is alive. `false` when the name is empty or too long, or when there are too many names already.
    pub fn beat(&self, worker: &str) -> bool {
        let beat = Beat {
            at: SystemTime::now(),
            instant: clock::now(),
        };
        let mut beats = self.beats();
        if let Some(known) = beats.get_mut(worker) {
            *known = beat;
            return true;
        }
        let fits = !worker.is_empty() && worker.len() <= LONGEST_NAME && beats.len() < MOST_NAMES;
        if fits {
            beats.insert(worker.to_owned(), beat);
        }
        fits
    }

    /// When `worker` was last alive.
    pub fn last(&self, worker: &str) -> Option<SystemTime> {
        self.beats().get(worker).map(|beat| beat.at)
    }

    /// All workers with their last heartbeats, by name.
    pub fn all(&self) -> Vec<(String, SystemTime)> {
        let beats = self.beats();
        beats
            .iter()
            .map(|(name, beat)| (name.clone(), beat.at))
            .collect()
    }

    fn beats(&self) -> MutexGuard<'_, BTreeMap<String, Beat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// The check over a registry of one's own.
    pub fn watching(&self, beats: &Beats) -> Arc<dyn Check> {
        let (heartbeat, beats) = (self.clone(), beats.clone());
        let since = clock::now();
        // A file can be on a file system that hangs.
        super::blocking(Self::KIND, move || {
            let now = clock::now();
            let pushed = heartbeat.worker.as_deref().and_then(|worker| {
                let beat = beats.beats().get(worker).copied()?;
                Some((beat.at, now.saturating_duration_since(beat.instant)))
            });
            let touched = heartbeat.file.as_deref().and_then(touched);
            let newest = pushed
                .into_iter()
                .chain(touched)
                .min_by_key(|(_, age)| *age);
            heartbeat.judge(newest, now.saturating_duration_since(since))
        })
    }

    fn judge(
        &self,
        newest: Option<(SystemTime, std::time::Duration)>,
        waited: std::time::Duration,
    ) -> Outcome {
        let limit = self.stale_after.get();
        let Some((at, age)) = newest else {
            return if waited > limit {
                Outcome::unhealthy(format!("no heartbeat in the last {}", self.stale_after))
            } else {
                Outcome::unknown("no heartbeat yet")
            };
        };
        let outcome = if age > limit {
            Outcome::unhealthy(format!("no heartbeat in the last {}", self.stale_after))
        } else {
            Outcome::healthy("its heart beats")
        };
        let last = jiff::Timestamp::try_from(at).unwrap_or_default();
        let last = last.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        outcome
            .with("last_heartbeat", last)
            .with("age_seconds", age.as_secs())
    }
}

/// When a file was last changed and how long ago that is; one from the future is new.
fn touched(file: &str) -> Option<(SystemTime, std::time::Duration)> {
    let at = Path::new(file).metadata().ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(at).unwrap_or_default();
    Some((at, age))
}

impl Probe for Heartbeat {
    const KIND: &'static str = "heartbeat";
    const ABOUT: About = About::App;

    fn faults(&self, _: &Around, faults: &mut Vec<Fault>) {
        if self.worker.is_none() && self.file.is_none() {
            let message = "there is nobody whose heartbeat is awaited";
            faults.push(Fault::new("worker", message, "name a `worker` or a `file`"));
        }
        let length = self.worker.as_ref().map(String::len);
        if length.is_some_and(|length| length == 0 || length > LONGEST_NAME) {
            let message = format!("it is not a name of 1 to {LONGEST_NAME} bytes");
            faults.push(Fault::new("worker", message, "write one word"));
        }
        if self.stale_after.is_zero() {
            let message = "every heartbeat is older than that";
            faults.push(Fault::new("stale_after", message, "write it as `60s`"));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        self.watching(Beats::global())
    }
}
