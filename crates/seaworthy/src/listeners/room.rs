//! How many connections there is room for.
//!
//! A connection without a descriptor left for its way to the app is worth nothing: clients that merely wait would take the
//! last one, and every request would be answered as if the app were gone. So no more are taken than can be served to the
//! end, and a few descriptors are kept for telling the others. The limit itself is left alone, because the app inherits it.

use super::courtesy;
use crate::components::Components;

/// What a process needs beside connections: its listeners, runtimes, log and children.
const OWN: u64 = 24;
/// What each worker needs for itself.
const WORKER: u64 = 4;
/// One of so many descriptors is for telling clients that there is no room.
const COURTESY: u64 = 16;

/// What one worker may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Connections that are served.
    pub(super) connections: usize,
    /// Connections that are told that they are not.
    pub(super) courtesies: usize,
}

impl Room {
    /// The room of one worker; `secure` is one that speaks TLS.
    pub(super) fn of_worker(components: &Components, secure: bool) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let room = limit.map_or(Self::UNLIMITED, |limit| share(limit, components.threads));
        Self {
            connections: room.connections.min(components.max_connections),
            // A handshake costs more than the answer is worth.
            courtesies: if secure { 0 } else { room.courtesies },
        }
    }

    const UNLIMITED: Self = Self {
        connections: usize::MAX,
        courtesies: courtesy::MOST,
    };
}

/// Half of what is left of `limit`, shared among `workers`; the other half is for connections to the app.
fn share(limit: u64, workers: usize) -> Room {
    let count = workers.max(1) as u64;
    let left = limit.saturating_sub(OWN + WORKER * count) / count;
    let courtesies = (left / COURTESY).min(courtesy::MOST as u64);
    let number = |count| usize::try_from(count).unwrap_or(usize::MAX);
    Room {
        connections: number((left - courtesies) / 2).max(1),
        courtesies: number(courtesies),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_every_connection_fit() {
        for limit in [64, 128, 1024, 1 << 20] {
            for workers in [1, 2, 8] {
                let room = share(limit, workers);
                if room.connections == 1 {
                    // The least there is: a worker without any would serve nobody.
                    continue;
                }
                let each = 2 * room.connections + room.courtesies;
                let all = (each * workers) as u64 + OWN + WORKER * workers as u64;
                assert!(all <= limit, "{limit} {workers}: {all}");
            }
        }
    }

    #[test]
    fn courtesy_costs_little() {
        let room = |connections, courtesies| Room {
            connections,
            courtesies,
        };
        assert_eq!(share(1024, 2), room(232, 31));
        assert_eq!(share(1 << 20, 1).courtesies, courtesy::MOST);
        assert_eq!(share(10, 4), room(1, 0));
    }
}
