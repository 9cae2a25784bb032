//! Metrics: cells that one thread writes, added up when somebody asks.
//!
//! A request touches only the cells of its own worker: no lock, no shared cache line, no lookup by text, because the place
//! of a series follows from the method, the route's number and the status. A scrape reads the cells of all workers and adds
//! them. The number of series is bounded by the known methods, the routes of the configuration and the statuses there are;
//! nothing that a client chooses can make a new one. Series exist from the first request that counts in them.
//!
//! The control plane's few gauges, counters and histograms are handles registered under a name from
//! `seaworthy_core::names`. The text is written here and not by a client library: those that exist write OpenMetrics or the
//! older text format, not both from one set of numbers, and ask for a label set per series where an index is enough.

mod control;
mod expose;
mod process;
mod requests;

use std::sync::{Arc, Mutex, PoisonError};

use seaworthy_core::names::metric;

pub use control::{Counter, Gauge, Histogram, States};
pub use requests::{Totals, Worker};

use control::Controls;
use expose::Page;
use requests::{Cells, Layout};

/// `Content-Type` of the text format that everything reads.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `Content-Type` of OpenMetrics.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether a scraper that sent this `Accept` should get OpenMetrics.
pub fn accepts_openmetrics(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| {
        accept.split(',').any(|range| {
            range
                .trim_start()
                .starts_with("application/openmetrics-text")
        })
    })
}

/// All metrics of a process.
#[derive(Debug)]
pub struct Registry {
    /// Replaced by one that knows more, never by one that knows less.
    layout: Mutex<Arc<Layout>>,
    /// One for each worker there ever was: a counter must not shrink when a worker goes.
    workers: Mutex<Vec<Arc<Cells>>>,
    controls: Controls,
}

impl Registry {
    /// Makes a registry for these route templates by number, as `RouteTable::templates` gives them.
    pub fn new(routes: &[String]) -> Arc<Self> {
        let registry = Self {
            layout: Mutex::new(Arc::new(Layout::new(routes))),
            workers: Mutex::default(),
            controls: Controls::default(),
        };
        registry
            .gauge(&metric::BUILD_INFO, &[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        Arc::new(registry)
    }

    /// The cells for one more worker.
    pub fn worker(&self) -> Worker {
        let cells = Arc::new(Cells::new());
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&cells));
        Worker::new(self.layout(), cells)
    }

    /// Takes in that there are more routes: `routes` are the templates by number, those that were known before under the
    /// numbers that they had. Workers learn of it by [`Worker::renew`].
    pub fn renew(&self, routes: &[String]) {
        let layout = Arc::new(Layout::new(routes));
        *self.layout.lock().unwrap_or_else(PoisonError::into_inner) = layout;
    }

    fn layout(&self) -> Arc<Layout> {
        self.layout
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many requests are under way in all workers.
    pub fn in_progress(&self) -> u64 {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        requests::in_progress(&workers)
    }

    /// What requests came to so far, all in all.
    pub fn totals(&self) -> Totals {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        requests::all(&self.layout(), &workers)
    }

    /// The page for a scraper.
    pub fn encode(&self, openmetrics: bool) -> String {
        let mut page = Page::new(openmetrics);
        {
            let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
            requests::expose(&mut page, &self.layout(), &workers);
        }
        self.controls.expose(&mut page);
        process::expose(&mut page);
        page.finish()
    }
}

#[cfg(test)]
mod tests;
