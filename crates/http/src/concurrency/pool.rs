//! The places of the service or of a route, as all workers share them.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use seaworthy_core::clock::Moment;
use seaworthy_core::concurrency::{Adaptive, Bounds, Place, Priority, Sample, Slots};

/// Places, and what finds their number.
#[derive(Debug)]
pub struct Pool {
    name: Box<str>,
    slots: Arc<Slots>,
    patience: Duration,
    adaptive: Option<Mutex<Adaptive>>,
    refused: Arc<AtomicU64>,
}

impl Pool {
    /// A fixed number of places, and so many who wait for one, for at most `patience`.
    pub fn fixed(name: &str, limit: u32, queue: u32, patience: Duration) -> Self {
        Self {
            name: name.into(),
            slots: Slots::new(limit, queue),
            patience,
            adaptive: None,
            refused: Arc::default(),
        }
    }

    /// A number of places that follows the time that answers take.
    pub fn adaptive(name: &str, bounds: Bounds, queue: u32, patience: Duration) -> Self {
        let adaptive = Adaptive::new(bounds);
        Self {
            slots: Slots::new(adaptive.limit(), queue),
            adaptive: Some(Mutex::new(adaptive)),
            ..Self::fixed(name, 1, queue, patience)
        }
    }

    /// The same bounds over the places of `other`, which it takes the place of: whoever is inside or waits there counts here.
    #[must_use]
    pub fn instead_of(self, other: &Self) -> Self {
        let slots = other.slots.clone();
        slots.set_most_waiting(self.slots.most_waiting());
        slots.set_limit(self.slots.limit());
        Self {
            slots,
            refused: other.refused.clone(),
            ..self
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The places.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// Requests that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether the number of places follows the answers.
    pub(super) fn learns(&self) -> bool {
        self.adaptive.is_some()
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes in what became of a request that had `place`.
    pub(super) fn take_in(&self, place: &Place, sample: Sample, now: Moment) {
        let Some(adaptive) = &self.adaptive else {
            return;
        };
        let inside = place.slots().inside();
        let mut adaptive = adaptive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = adaptive.take_in(sample, inside, now) {
            // Set under the lock: two windows must not overtake each other.
            self.slots.set_limit(limit);
        }
    }
}

/// How short memory is: everything below a priority is refused. Whoever watches memory writes it, and all workers read it.
#[derive(Debug, Default)]
pub struct Pressure(AtomicU8);

impl Pressure {
    /// Refuses everything below `least` from now on; nothing with `Priority::Low`.
    pub fn set(&self, least: Priority) {
        self.0.store(least as u8, Ordering::Relaxed);
    }

    /// What is refused.
    pub fn refuses(&self, priority: Priority) -> bool {
        (priority as u8) < self.0.load(Ordering::Relaxed)
    }

    /// The lowest priority that is still served.
    pub fn least(&self) -> Priority {
        let level = usize::from(self.0.load(Ordering::Relaxed));
        Priority::ALL.get(level).copied().unwrap_or_default()
    }
}
