//! Which instances of the app can be sent to. The supervisor writes it, workers read it on every request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use arc_swap::{ArcSwap, Cache};
use seaworthy_core::address::Address;
use tokio::sync::watch;

use super::pulse::Pulses;

/// One instance of the app, in one of its lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Unique for each life: an instance that was restarted is another endpoint, even at the same address.
    pub id: u64,
    /// Where it listens.
    pub address: Address,
}

/// Whether there is anybody to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// At least one endpoint serves.
    Ready,
    /// None serves yet, one will soon: requests wait.
    Starting,
    /// None serves, and the next try is not before this time: requests are refused at once.
    Backoff(Instant),
    /// None serves, and none will.
    Gone,
    /// There is nothing to send to by nature: the service takes no requests.
    Absent,
}

/// A state of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// The instances that serve.
    pub endpoints: Vec<Endpoint>,
    /// What their number means.
    pub availability: Availability,
}

/// The shared roster. Clones are the same one.
#[derive(Clone)]
pub struct Roster {
    roll: Arc<ArcSwap<Roll>>,
    changed: watch::Sender<u64>,
    supervised: bool,
    parked: Arc<AtomicU32>,
    pulses: Pulses,
}

impl Roster {
    /// A roster for an app that Seaworthy starts: empty, and starting.
    pub fn supervised() -> Self {
        Self::with(
            Roll {
                endpoints: Vec::new(),
                availability: Availability::Starting,
            },
            true,
        )
    }

    /// A roster of a service that runs by itself, elsewhere.
    pub fn remote(address: Address) -> Self {
        Self::with(
            Roll {
                endpoints: vec![Endpoint { id: 0, address }],
                availability: Availability::Ready,
            },
            false,
        )
    }

    fn with(roll: Roll, supervised: bool) -> Self {
        Self {
            roll: Arc::new(ArcSwap::from_pointee(roll)),
            changed: watch::Sender::new(0),
            supervised,
            parked: Arc::default(),
            pulses: Pulses::default(),
        }
    }

    /// Replaces the roll. Requests that wait look again.
    pub fn publish(&self, roll: Roll) {
        self.roll.store(Arc::new(roll));
        self.changed.send_modify(|version| *version += 1);
    }

    /// The roll now.
    pub fn roll(&self) -> Arc<Roll> {
        self.roll.load_full()
    }

    /// Requests of all workers that wait for an endpoint.
    pub fn parked(&self) -> u32 {
        self.parked.load(Ordering::Relaxed)
    }

    /// What the instances do with their requests.
    pub fn pulses(&self) -> &Pulses {
        &self.pulses
    }

    pub(super) fn park(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unpark(&self) {
        self.parked.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether Seaworthy starts the app, so that waiting for a restart makes sense.
    pub fn is_supervised(&self) -> bool {
        self.supervised
    }

    /// A worker's place, from which a look at the roll costs one load.
    pub fn seat(&self) -> Seat {
        Seat {
            cache: Cache::new(self.roll.clone()),
            changed: self.changed.subscribe(),
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster")
            .field("roll", &self.roll())
            .field("supervised", &self.supervised)
            .finish_non_exhaustive()
    }
}

/// See [`Roster::seat`].
#[derive(Clone)]
pub struct Seat {
    cache: Cache<Arc<ArcSwap<Roll>>, Arc<Roll>>,
    changed: watch::Receiver<u64>,
}

impl Seat {
    /// The roll now.
    pub fn roll(&mut self) -> &Arc<Roll> {
        self.cache.load()
    }

    /// Waits until the roll is replaced after the last call of [`Seat::mark`].
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The roster is gone with the process's control plane; nothing will change any more.
            std::future::pending().await
        }
    }

    /// Takes the roll of now as seen.
    pub fn mark(&mut self) {
        self.changed.borrow_and_update();
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}
