//! Spreads connections evenly over workers.
//!
//! All workers accept from one socket, and whoever wakes first takes all that wait: one worker would end up with most
//! connections. So a worker that has more than the emptiest hands a new one over; that costs one wake-up per connection,
//! none per request, and nothing with a single worker.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

/// A connection on its way to another worker.
pub(super) type Handed = (TcpStream, SocketAddr);

/// Connections that may be on their way to one worker.
const IN_FLIGHT: usize = 256;

/// One worker's part in the balance.
#[derive(Debug)]
pub(super) struct Balance {
    own: usize,
    open: Arc<[AtomicUsize]>,
    doors: Arc<[mpsc::Sender<Handed>]>,
}

/// Makes the parts of `workers` workers, each with the door that others hand connections through.
pub(super) fn between(workers: usize) -> Vec<(Balance, mpsc::Receiver<Handed>)> {
    let open: Arc<[AtomicUsize]> = (0..workers).map(|_| AtomicUsize::new(0)).collect();
    let (doors, receivers): (Vec<_>, Vec<_>) =
        (0..workers).map(|_| mpsc::channel(IN_FLIGHT)).unzip();
    let doors: Arc<[mpsc::Sender<Handed>]> = doors.into();
    let part = |own| Balance {
        own,
        open: open.clone(),
        doors: doors.clone(),
    };
    receivers
        .into_iter()
        .enumerate()
        .map(|(own, receiver)| (part(own), receiver))
        .collect()
}

impl Balance {
    /// The number of this worker.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// Who should serve a new connection: this worker, unless another has fewer. Counts it there.
    pub(super) fn place(&self) -> usize {
        let own = self.open[self.own].load(Ordering::Relaxed);
        let mut emptiest = (own, self.own);
        for (worker, open) in self.open.iter().enumerate() {
            let open = open.load(Ordering::Relaxed);
            if open < emptiest.0 {
                emptiest = (open, worker);
            }
        }
        self.open[emptiest.1].fetch_add(1, Ordering::Relaxed);
        emptiest.1
    }

    /// Whether every worker has `most` connections.
    pub(super) fn is_full(&self, most: usize) -> bool {
        self.open
            .iter()
            .all(|open| open.load(Ordering::Relaxed) >= most)
    }

    /// Counts a connection here, without a look at the others.
    pub(super) fn place_own(&self) {
        self.open[self.own].fetch_add(1, Ordering::Relaxed);
    }

    /// Reads the connections of all workers together, from any thread.
    pub(super) fn reader(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let open = self.open.clone();
        move || open.iter().map(|open| open.load(Ordering::Relaxed)).sum()
    }

    /// Whether `worker` is this one.
    pub(super) fn is_own(&self, worker: usize) -> bool {
        worker == self.own
    }

    /// Hands a connection to `worker`; gives it back when that one's door is full or shut, counted here from then on.
    pub(super) fn hand(&self, worker: usize, connection: Handed) -> Option<Handed> {
        match self.doors[worker].try_send(connection) {
            Ok(()) => None,
            Err(
                mpsc::error::TrySendError::Full(back) | mpsc::error::TrySendError::Closed(back),
            ) => {
                self.open[worker].fetch_sub(1, Ordering::Relaxed);
                self.open[self.own].fetch_add(1, Ordering::Relaxed);
                Some(back)
            }
        }
    }

    /// Takes note that one of this worker's connections ended.
    pub(super) fn closed(&self) {
        self.open[self.own].fetch_sub(1, Ordering::Relaxed);
    }

    #[cfg(test)]
    fn open(&self) -> usize {
        self.open[self.own].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_greedy_worker_still_spreads_evenly() {
        let parts = between(3);
        for _ in 0..99 {
            parts[1].0.place();
        }
        let open: Vec<_> = parts.iter().map(|(part, _)| part.open()).collect();
        assert_eq!(open, [33, 33, 33]);
        assert_eq!(parts[2].0.reader()(), 99);
        parts[0].0.closed();
        assert!(!parts[2].0.is_full(33), "the first worker has a place");
        assert_eq!(parts[2].0.place(), 0);
        assert!(parts[2].0.is_full(33));
    }
}
