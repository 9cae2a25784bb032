//! What clients are told for whom there is no room.
//!
//! Closing their connections would be the same to them as a service that is gone, and a probe that is closed upon restarts
//! an instance that is merely busy. So they get one answer and the connection closes: probes theirs, the others a 503. That
//! costs a descriptor and a task for a moment, so both the moment and the number are bounded; whoever comes beyond that is
//! closed upon at once, and with TLS everyone is.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use seaworthy_http::drain::{Drain, Phase};
use seaworthy_http::edge::{self, Edge, Peer};
use seaworthy_http::timer::SweepTimer;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::observer::Seen;
use crate::components::Components;
use crate::stack;

/// The most that one worker answers at a time.
pub(super) const MOST: usize = 64;
/// All that one client gets, from its connection to the end of it.
const MOMENT: Duration = Duration::from_secs(1);

/// What a worker does with a client that there is no room for: answers once and closes, or, when `places` are taken, closes
/// at once.
pub(super) fn courtesy(
    components: &Components,
    timer: SweepTimer,
    seen: &Rc<Seen>,
    places: usize,
) -> impl Fn(TcpStream, SocketAddr) + 'static + use<> {
    // Every answer on this edge says that the connection closes.
    let leaving = Drain::default();
    leaving.advance(Phase::Propagating);
    let edge = Rc::new(Edge {
        header_timeout: MOMENT,
        idle: MOMENT,
        ..components.edge(timer, leaving, seen.clone())
    });
    let views = Rc::new(components.public_table());
    let stack = stack::without_room(components, seen.wanted(), views);
    let places = Rc::new(Cell::new(places));
    move |stream, address| {
        let Some(place) = Place::take(&places) else {
            return;
        };
        let peer = Peer {
            address: Some(address),
            secure: false,
        };
        let talk = edge::serve(stream, peer, edge.clone(), stack.clone());
        spawn_local(async move {
            // Nobody hears of one that took too long: it was not going to be served anyway.
            tokio::time::timeout(MOMENT, talk).await.ok();
            drop(place);
        });
    }
}

/// One client's place; dropping it makes it free.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(places: &Rc<Cell<usize>>) -> Option<Self> {
        let left = places.get().checked_sub(1)?;
        places.set(left);
        Some(Self(places.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_given_back() {
        let places = Rc::new(Cell::new(2));
        let taken: Vec<_> = (0..3).map_while(|_| Place::take(&places)).collect();
        assert_eq!(taken.len(), 2);
        drop(taken);
        assert_eq!(places.get(), 2);
    }
}
