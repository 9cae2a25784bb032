//! Counts requests from any thread in cells that have one writer each.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::route::RouteId;
use seaworthy_telemetry::metrics::{Registry, Worker};

/// As many sets of cells as there are cores. A thread keeps to one, so that it seldom waits for another.
#[derive(Debug)]
pub(super) struct Counted {
    cells: Box<[Mutex<Worker>]>,
    numbers: Arc<[RouteId]>,
}

impl Counted {
    /// Counts routes under these lasting numbers.
    pub(super) fn new(registry: &Arc<Registry>, numbers: Arc<[RouteId]>) -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let workers = std::iter::repeat_with(|| Mutex::new(registry.worker()));
        Self {
            cells: workers.take(cores).collect(),
            numbers,
        }
    }

    fn with(&self, count: impl FnOnce(&Worker)) {
        let mine = &self.cells[place() % self.cells.len()];
        count(&mine.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The number of this thread among those that count.
fn place() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    PLACE.with(|place| {
        let mine = place.get();
        let mine = mine.unwrap_or_else(|| THREADS.fetch_add(1, Ordering::Relaxed));
        place.set(Some(mine));
        mine
    })
}

impl Observer for Counted {
    fn started(&self) {
        self.with(Worker::started);
    }

    fn finished(&self, done: &Finished<'_>) {
        let lasting = self.numbers.get(done.route.index()).copied();
        let lasting = Finished {
            route: lasting.unwrap_or_default(),
            ..*done
        };
        self.with(|worker| worker.finished(&lasting));
    }
}
