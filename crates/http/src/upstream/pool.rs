//! Idle connections of one worker, last in, first out.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::route::RouteTable;

use super::connection::Connection;
use super::pulse::{Beat, Feeler, Pulses};
use super::roster::Endpoint;
use crate::timer::{Stamp, SweepTimer};

/// How the app is connected to.
#[derive(Clone, Debug)]
pub struct Config {
    /// An idle connection is closed after this long: below the app's own keep-alive, or the two race.
    pub idle: Duration,
    /// Idle connections kept for each instance and worker.
    pub idle_connections: usize,
    /// A connection must come about within this long.
    pub connect_timeout: Duration,
    /// A request waits this long for an app that is starting.
    pub park: Duration,
    /// Requests of one worker that wait at once; more are refused.
    pub parked: usize,
    /// Counts progress, except on these routes, whose answers prove nothing; `None` counts nothing.
    pub progress: Option<Arc<RouteTable>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(3),
            idle_connections: 256,
            connect_timeout: Duration::from_secs(5),
            park: Duration::from_secs(10),
            parked: 4096,
            progress: None,
        }
    }
}

/// Connections to every instance.
#[derive(Debug)]
pub(super) struct Pool {
    timer: SweepTimer,
    /// Absent where nobody wants to know.
    pulses: Option<Pulses>,
    shelves: RefCell<Vec<Shelf>>,
}

/// Those to one instance.
#[derive(Debug)]
struct Shelf {
    endpoint: u64,
    idle: Vec<(Box<Connection>, Stamp)>,
    busy: usize,
    feeler: Option<Feeler>,
}

impl Pool {
    pub(super) fn new(timer: SweepTimer, pulses: Option<Pulses>) -> Self {
        Self {
            timer,
            pulses,
            shelves: RefCell::default(),
        }
    }

    /// Chooses the instance with the fewest requests on this worker, and an idle connection to it if there is one.
    pub(super) fn take(
        self: &Rc<Self>,
        endpoints: &[Endpoint],
        idle: Duration,
    ) -> Option<(usize, Option<Box<Connection>>, Lease)> {
        let mut shelves = self.shelves.borrow_mut();
        let at = match endpoints {
            [] => return None,
            [only] if shelves.len() == 1 && shelves[0].endpoint == only.id => 0,
            _ => {
                align(&mut shelves, endpoints, self.pulses.as_ref());
                (0..shelves.len()).min_by_key(|at| shelves[*at].busy)?
            }
        };
        let shelf = &mut shelves[at];
        shelf.busy += 1;
        let lease = Lease {
            pool: self.clone(),
            endpoint: shelf.endpoint,
            feeler: shelf.feeler.clone(),
            beat: None,
        };
        let mut found = None;
        while let Some((connection, since)) = shelf.idle.pop() {
            if self.timer.age(since) < idle && connection.is_quiet() {
                found = Some(connection);
                break;
            }
        }
        Some((at, found, lease))
    }

    /// Closes what idled too long.
    pub(super) fn sweep(&self, idle: Duration) {
        for shelf in self.shelves.borrow_mut().iter_mut() {
            shelf.idle.retain(|(connection, since)| {
                self.timer.age(*since) < idle && connection.is_quiet()
            });
        }
    }

    fn shelf(&self, endpoint: u64, change: impl FnOnce(&mut Shelf)) {
        if let Some(shelf) = self
            .shelves
            .borrow_mut()
            .iter_mut()
            .find(|shelf| shelf.endpoint == endpoint)
        {
            change(shelf);
        }
    }
}

/// Makes the shelves those of `endpoints`, in that order; connections to instances that are gone close.
fn align(shelves: &mut Vec<Shelf>, endpoints: &[Endpoint], pulses: Option<&Pulses>) {
    let same = shelves.len() == endpoints.len()
        && shelves
            .iter()
            .zip(endpoints)
            .all(|(shelf, endpoint)| shelf.endpoint == endpoint.id);
    if same {
        return;
    }
    let mut old = std::mem::take(shelves);
    for endpoint in endpoints {
        let kept = old
            .iter()
            .position(|shelf| shelf.endpoint == endpoint.id)
            .map(|at| old.swap_remove(at));
        shelves.push(kept.unwrap_or_else(|| Shelf {
            endpoint: endpoint.id,
            idle: Vec::new(),
            busy: 0,
            feeler: pulses.map(|pulses| pulses.join(endpoint.id)),
        }));
    }
}

/// One request's place with an instance; dropping it makes the place free.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Rc<Pool>,
    endpoint: u64,
    feeler: Option<Feeler>,
    beat: Option<Beat>,
}

impl Lease {
    /// The instance.
    pub(super) fn endpoint(&self) -> u64 {
        self.endpoint
    }

    /// From now on the exchange counts as the instance's.
    pub(super) fn follow(&mut self) {
        self.beat = self.feeler.as_ref().map(Feeler::beat);
    }

    /// The exchange as it counts, if it does.
    pub(super) fn beat(&mut self) -> Option<&mut Beat> {
        self.beat.as_mut()
    }

    /// Keeps the connection for the next request, unless the instance is gone or enough are kept.
    pub(super) fn give_back(&self, mut connection: Box<Connection>, most: usize) {
        if !connection.is_clean() {
            return;
        }
        connection.reused = true;
        connection.sent = false;
        let now = self.pool.timer.stamp();
        self.pool.shelf(self.endpoint, |shelf| {
            if shelf.idle.len() < most {
                shelf.idle.push((connection, now));
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.shelf(self.endpoint, |shelf| shelf.busy -= 1);
    }
}
