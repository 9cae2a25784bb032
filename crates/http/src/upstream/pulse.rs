//! Signs of life of the app's instances, for whoever judges whether they get anywhere.
//!
//! Each worker counts for itself, in a pulse of its own for every instance, so that counting costs no worker another one's
//! time; whoever judges adds them up. A request waits from the moment when all of it has been sent, because before that the
//! client may be the slow one, until the head of its answer. A large body that the app takes in, and every piece of an answer,
//! is progress too: a server that is busy with one long transfer is not stalled.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use seaworthy_core::health::Seen;

/// So much of a body disappears in buffers of the system, whether the app reads it or not.
const BUFFERED: u64 = 4 << 20;
/// Whoever left after less than this may have had reasons of his own.
const PATIENT: u32 = 1;
/// How many requests are remembered with the time since which they wait.
const REMEMBERED: usize = 16;

/// What one worker sees of one instance.
#[derive(Debug, Default)]
struct Pulse {
    waiting: AtomicU32,
    progress: AtomicU64,
    failures: AtomicU64,
    /// Seconds of the clock since which requests wait; 0 is a free place.
    since: [AtomicU32; REMEMBERED],
}

/// A pulse, and the instance that it is of.
type Felt = (u64, Arc<Pulse>);

/// The pulses of all instances, as all workers see them. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Pulses {
    clock: Clock,
    all: Arc<Mutex<Vec<Felt>>>,
}

/// What was seen of an instance since it was last asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// The counts.
    pub seen: Seen,
    /// For how long requests have waited, the longest first, and not all of them if there are many.
    pub ages: Vec<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    /// Never 0.
    fn now(self) -> u32 {
        u32::try_from(self.0.elapsed().as_secs())
            .unwrap_or(u32::MAX - 1)
            .saturating_add(1)
    }
}

impl Default for Pulses {
    fn default() -> Self {
        Self {
            clock: Clock(Instant::now()),
            all: Arc::default(),
        }
    }
}

impl Pulses {
    /// A new worker's side of the pulse of an instance.
    pub(super) fn join(&self, endpoint: u64) -> Feeler {
        let pulse = Arc::new(Pulse::default());
        self.all().push((endpoint, pulse.clone()));
        Feeler {
            clock: self.clock,
            pulse,
        }
    }

    /// What was seen of the instance since the last call. Forgets pulses that nobody feels any more.
    pub fn take(&self, endpoint: u64) -> Signs {
        let now = self.clock.now();
        let mut signs = Signs::default();
        self.all().retain(|(of, pulse)| {
            let felt = Arc::strong_count(pulse) > 1;
            if *of == endpoint {
                pulse.take(now, &mut signs);
            }
            felt
        });
        signs.ages.sort_unstable_by(|a, b| b.cmp(a));
        signs
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Felt>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    fn take(&self, now: u32, signs: &mut Signs) {
        let seen = &mut signs.seen;
        seen.waiting += u64::from(self.waiting.load(Ordering::Relaxed));
        seen.progress += self.progress.swap(0, Ordering::Relaxed);
        seen.failures += self.failures.swap(0, Ordering::Relaxed);
        let ages = self.since.iter().filter_map(|since| {
            let since = since.load(Ordering::Relaxed);
            (since > 0).then(|| Duration::from_secs(u64::from(now.saturating_sub(since))))
        });
        signs.ages.extend(ages);
    }
}

/// A worker's side of a pulse.
#[derive(Clone, Debug)]
pub(super) struct Feeler {
    clock: Clock,
    pulse: Arc<Pulse>,
}

impl Feeler {
    /// Follows one exchange.
    pub(super) fn beat(&self) -> Beat {
        Beat {
            feeler: self.clone(),
            stage: Stage::Sending { taken: 0 },
        }
    }
}

/// One exchange as the pulse counts it.
#[derive(Debug)]
pub(super) struct Beat {
    feeler: Feeler,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Sending { taken: u64 },
    Waiting { since: u32, place: Option<usize> },
    Answering,
    Over,
}

impl Beat {
    /// The app took so many bytes of the request's body.
    pub(super) fn took(&mut self, bytes: u64) {
        if let Stage::Sending { taken } = &mut self.stage {
            *taken += bytes;
            if *taken > BUFFERED {
                self.progress();
            }
        }
    }

    /// All of the request has been sent.
    pub(super) fn sent(&mut self) {
        if !matches!(self.stage, Stage::Sending { .. }) {
            return;
        }
        let since = self.feeler.clock.now();
        let pulse = &*self.feeler.pulse;
        pulse.waiting.fetch_add(1, Ordering::Relaxed);
        // Only this worker takes places, so one that is free stays so.
        let place = (pulse.since.iter()).position(|place| place.load(Ordering::Relaxed) == 0);
        if let Some(place) = place {
            pulse.since[place].store(since, Ordering::Relaxed);
        }
        self.stage = Stage::Waiting { since, place };
    }

    /// The head of the answer is here.
    pub(super) fn answered(&mut self, failed: bool) {
        self.stop_waiting();
        if failed {
            self.stage = Stage::Over;
            self.failure();
        } else {
            self.stage = Stage::Answering;
            self.progress();
        }
    }

    /// The app broke off.
    pub(super) fn lost(&mut self) {
        self.stop_waiting();
        self.stage = Stage::Over;
        self.failure();
    }

    /// A piece of the answer came.
    pub(super) fn moved(&mut self) {
        if matches!(self.stage, Stage::Answering) {
            self.progress();
        }
    }

    fn progress(&self) {
        self.feeler.pulse.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn failure(&self) {
        self.feeler.pulse.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves the place, and says for how long it was taken.
    fn stop_waiting(&mut self) -> Option<u32> {
        let Stage::Waiting { since, place } = std::mem::replace(&mut self.stage, Stage::Over)
        else {
            return None;
        };
        let pulse = &*self.feeler.pulse;
        pulse.waiting.fetch_sub(1, Ordering::Relaxed);
        if let Some(place) = place {
            pulse.since[place].store(0, Ordering::Relaxed);
        }
        Some(self.feeler.clock.now().saturating_sub(since))
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        if self.stop_waiting().is_some_and(|waited| waited > PATIENT) {
            self.failure();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pulses: &Pulses) -> (u64, u64, u64) {
        let seen = pulses.take(7).seen;
        (seen.waiting, seen.progress, seen.failures)
    }

    #[test]
    fn a_request_waits_between_its_end_and_the_head_of_its_answer() {
        let pulses = Pulses::default();
        let feeler = pulses.join(7);
        let mut beat = feeler.beat();
        assert_eq!(seen(&pulses), (0, 0, 0));
        beat.sent();
        assert_eq!(seen(&pulses), (1, 0, 0));
        assert_eq!(pulses.take(7).ages, [Duration::ZERO]);
        beat.answered(false);
        beat.moved();
        assert_eq!(seen(&pulses), (0, 2, 0));
        drop(beat);
        assert_eq!(seen(&pulses), (0, 0, 0));
    }

    #[test]
    fn failures_are_counted_once_and_an_impatient_client_is_none() {
        let pulses = Pulses::default();
        let feeler = pulses.join(7);
        for end in [
            Beat::lost,
            |beat: &mut Beat| beat.answered(true),
            |_: &mut Beat| {},
        ] {
            let mut beat = feeler.beat();
            beat.sent();
            end(&mut beat);
            beat.moved();
        }
        assert_eq!(seen(&pulses), (0, 0, 2));
    }

    #[test]
    fn a_large_body_that_is_taken_in_is_progress_and_a_small_one_may_lie_in_a_buffer() {
        let pulses = Pulses::default();
        let mut beat = pulses.join(7).beat();
        beat.took(BUFFERED);
        assert_eq!(seen(&pulses), (0, 0, 0));
        beat.took(1);
        assert_eq!(seen(&pulses), (0, 1, 0));
    }

    #[test]
    fn what_nobody_feels_is_forgotten_after_it_was_counted() {
        let pulses = Pulses::default();
        let mut beats: Vec<Beat> = {
            let feeler = pulses.join(7);
            (0..20).map(|_| feeler.beat()).collect()
        };
        beats.iter_mut().for_each(Beat::sent);
        let signs = pulses.take(7);
        assert_eq!((signs.seen.waiting, signs.ages.len()), (20, REMEMBERED));
        beats.iter_mut().for_each(|beat| beat.answered(false));
        drop(beats);
        assert_eq!(seen(&pulses), (0, 20, 0));
        assert!(pulses.all().is_empty());
    }
}
