//! The cells of the hot path.
//!
//! A cell has one writer, the thread of its worker, so it adds by a plain load and a plain store: an atomic addition would
//! lock the cache line against a second writer that does not exist, at many times the price. The scrape reads from another
//! thread and may see a request in one cell and not yet in the next; each number by itself is right and never goes back.
//! [`Worker`] keeps the promise of the single writer: it can move between threads but not be shared or cloned.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use seaworthy_core::catalogue;
use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::names::{METHODS, OTHER_METHOD, REQUEST_SECONDS, metric};
use seaworthy_core::route_names;

use super::expose::{Distribution, Page};

/// The endpoint of what mounted views answer: probes would drown a route's figures.
const VIEW: &str = "view";

/// Known methods and one for the rest.
const METHOD_COUNT: usize = METHODS.len() + 1;

/// Endpoints whose cells are made together.
const CHUNK: usize = 64;
/// All routes that have names, and the views.
const CHUNKS: usize = (route_names::MOST + 1).div_ceil(CHUNK);

/// Statuses 100 to 999, a block for each hundred.
const CLASSES: usize = 9;

/// Where the cells of a route are.
#[derive(Debug)]
pub(super) struct Layout {
    /// The values of the label `endpoint`.
    endpoints: Vec<String>,
    /// From a route's number to its endpoint: patterns that differ only in their methods share one, or the page would have
    /// the same series twice.
    by_route: Vec<usize>,
}

impl Layout {
    pub(super) fn new(routes: &[String]) -> Self {
        let mut endpoints = vec![VIEW.to_owned(), "unmatched".to_owned()];
        let mut known = BTreeMap::from([(VIEW.to_owned(), 0), ("unmatched".to_owned(), 1)]);
        let by_route = routes
            .iter()
            .map(|route| {
                *known.entry(route.clone()).or_insert_with(|| {
                    endpoints.push(route.clone());
                    endpoints.len() - 1
                })
            })
            .collect();
        Self {
            endpoints,
            by_route,
        }
    }

    fn endpoint(&self, done: &Finished<'_>) -> usize {
        if done.view {
            return 0;
        }
        self.by_route.get(done.route.index()).copied().unwrap_or(1)
    }
}

/// All cells of one worker.
#[derive(Debug)]
pub(super) struct Cells {
    started: AtomicU64,
    finished: AtomicU64,
    cut: AtomicU64,
    /// By the place in the catalogue.
    errors: Box<[AtomicU64]>,
    /// By endpoint, [`CHUNK`] of them at a time, then by method; filled when first used, because endpoints may come later.
    series: [OnceLock<Box<Chunk>>; CHUNKS],
}

type Chunk = [OnceLock<Box<Series>>; CHUNK * METHOD_COUNT];

#[derive(Debug, Default)]
struct Series {
    statuses: [OnceLock<Box<Hundred>>; CLASSES],
    /// Requests that ended without any status.
    none: AtomicU64,
    buckets: [AtomicU64; REQUEST_SECONDS.len() + 1],
    nanos: AtomicU64,
}

#[derive(Debug)]
struct Hundred([AtomicU64; 100]);

impl Cells {
    pub(super) fn new() -> Self {
        Self {
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            errors: catalogue::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            series: [const { OnceLock::new() }; CHUNKS],
        }
    }

    fn series(&self, endpoint: usize, method: usize) -> Option<&OnceLock<Box<Series>>> {
        let make = || Box::new([const { OnceLock::new() }; CHUNK * METHOD_COUNT]);
        let chunk = self.series.get(endpoint / CHUNK)?.get_or_init(make);
        chunk.get(endpoint % CHUNK * METHOD_COUNT + method)
    }

    fn known(&self, endpoint: usize, method: usize) -> Option<&Series> {
        let chunk = self.series.get(endpoint / CHUNK)?.get()?;
        let place = endpoint % CHUNK * METHOD_COUNT + method;
        Some(chunk.get(place)?.get()?)
    }
}

impl Series {
    fn status(&self, status: u16) -> &AtomicU64 {
        let class = usize::from(status / 100);
        match class
            .checked_sub(1)
            .and_then(|class| self.statuses.get(class))
        {
            Some(hundred) => {
                let hundred =
                    hundred.get_or_init(|| Box::new(Hundred([const { AtomicU64::new(0) }; 100])));
                &hundred.0[usize::from(status % 100)]
            }
            None => &self.none,
        }
    }
}

/// Adds to a cell that only the calling thread writes.
fn add(cell: &AtomicU64, more: u64) {
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(more),
        Ordering::Relaxed,
    );
}

/// Counts the requests of one worker; lives on the worker's thread.
#[derive(Debug)]
pub struct Worker {
    layout: RefCell<Arc<Layout>>,
    cells: Arc<Cells>,
    /// Not `Sync`: see the module's documentation.
    single_writer: PhantomData<Cell<()>>,
}

impl Worker {
    pub(super) fn new(layout: Arc<Layout>, cells: Arc<Cells>) -> Self {
        Self {
            layout: RefCell::new(layout),
            cells,
            single_writer: PhantomData,
        }
    }

    /// Takes in that `registry` knows more routes now.
    pub fn renew(&self, registry: &super::Registry) {
        self.layout.replace(registry.layout());
    }

    /// Counts a request as under way.
    pub fn started(&self) {
        add(&self.cells.started, 1);
    }

    /// Counts a request as finished.
    pub fn finished(&self, done: &Finished<'_>) {
        let cells = &*self.cells;
        add(&cells.finished, 1);
        if done.cut {
            add(&cells.cut, 1);
        }
        if let Some(error) = done.error {
            let place = catalogue::ALL.iter().position(|known| known.name == error);
            if let Some(cell) = place.and_then(|place| cells.errors.get(place)) {
                add(cell, 1);
            }
        }
        let endpoint = self.layout.borrow().endpoint(done);
        let Some(series) = cells.series(endpoint, method_index(done.method)) else {
            return;
        };
        let series = series.get_or_init(Box::default);
        add(series.status(done.status), 1);
        add(&series.buckets[bucket(done.duration)], 1);
        let nanos = u64::try_from(done.duration.as_nanos()).unwrap_or(u64::MAX);
        add(&series.nanos, nanos);
    }
}

impl Observer for Worker {
    fn started(&self) {
        Self::started(self);
    }

    fn finished(&self, done: &Finished<'_>) {
        Self::finished(self, done);
    }
}

/// The place in [`METHODS`], or the one after.
fn method_index(method: &str) -> usize {
    METHODS
        .iter()
        .position(|known| *known == method)
        .unwrap_or(METHODS.len())
}

/// Upper bounds of the buckets in nanoseconds, so that no request needs a floating-point division.
const BOUNDS: [u128; REQUEST_SECONDS.len()] = {
    let mut bounds = [0; REQUEST_SECONDS.len()];
    let mut at = 0;
    while at < bounds.len() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounds are small and positive"
        )]
        let micros = (REQUEST_SECONDS[at] * 1e6 + 0.5) as u128;
        bounds[at] = micros * 1000;
        at += 1;
    }
    bounds
};

fn bucket(duration: std::time::Duration) -> usize {
    let nanos = duration.as_nanos();
    BOUNDS
        .iter()
        .position(|bound| nanos <= *bound)
        .unwrap_or(BOUNDS.len())
}

fn sum(workers: &[Arc<Cells>], cell: impl Fn(&Cells) -> &AtomicU64) -> u64 {
    workers
        .iter()
        .map(|cells| cell(cells).load(Ordering::Relaxed))
        .fold(0, u64::wrapping_add)
}

/// Ends are read before beginnings, so a request that passes in between counts as under way and never as minus one.
pub(super) fn in_progress(workers: &[Arc<Cells>]) -> u64 {
    let finished = sum(workers, |cells| &cells.finished);
    sum(workers, |cells| &cells.started).saturating_sub(finished)
}

/// What requests came to, all in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Those that have finished; views are none.
    pub requests: u64,
    /// Those of them that failed on the side of the service (5xx).
    pub failed: u64,
    /// The time that they took together, in nanoseconds.
    pub nanos: u64,
}

/// Adds up the requests of all workers.
pub(super) fn all(layout: &Layout, workers: &[Arc<Cells>]) -> Totals {
    let mut all = Totals::default();
    let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
    for cells in workers {
        for endpoint in 1..layout.endpoints.len() {
            for series in (0..METHOD_COUNT).filter_map(|method| cells.known(endpoint, method)) {
                let counts = series.buckets.iter().map(read);
                all.requests = all.requests.wrapping_add(counts.fold(0, u64::wrapping_add));
                let failed = series.statuses[4].get();
                let failed = failed.map_or(0, |hundred| hundred.0.iter().map(read).sum());
                all.failed = all.failed.wrapping_add(failed);
                all.nanos = all.nanos.wrapping_add(read(&series.nanos));
            }
        }
    }
    all
}

/// Writes the families of the hot path.
pub(super) fn expose(page: &mut Page, layout: &Layout, workers: &[Arc<Cells>]) {
    let totals = totals(layout, workers);
    if !totals.is_empty() {
        page.family(&metric::HTTP_REQUESTS);
        for (endpoint, method, total) in &totals {
            for (status, count) in &total.statuses {
                page.sample(&metric::HTTP_REQUESTS, &[method, endpoint, status], count);
            }
        }
        page.family(&metric::HTTP_REQUEST_DURATION);
        for (endpoint, method, total) in &totals {
            page.distribution(
                &metric::HTTP_REQUEST_DURATION,
                &[method, endpoint],
                &total.durations,
            );
        }
    }
    page.family(&metric::HTTP_IN_PROGRESS);
    page.sample(&metric::HTTP_IN_PROGRESS, &[], in_progress(workers));
    page.family(&metric::REQUESTS_CUT);
    page.sample(&metric::REQUESTS_CUT, &[], sum(workers, |cells| &cells.cut));
    let errors: Vec<_> = (0..catalogue::ALL.len())
        .map(|place| {
            (
                catalogue::ALL[place].name,
                sum(workers, |cells| &cells.errors[place]),
            )
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    if !errors.is_empty() {
        page.family(&metric::ERRORS);
        for (name, count) in errors {
            page.sample(&metric::ERRORS, &[name], count);
        }
    }
}

/// One series over all workers.
#[derive(Debug, Default)]
struct Total {
    statuses: Vec<(String, u64)>,
    durations: Distribution,
}

fn totals<'a>(layout: &'a Layout, workers: &[Arc<Cells>]) -> Vec<(&'a str, &'static str, Total)> {
    let mut totals = Vec::new();
    for (endpoint, name) in layout.endpoints.iter().enumerate() {
        for method in 0..METHOD_COUNT {
            let parts: Vec<&Series> = workers
                .iter()
                .filter_map(|cells| cells.known(endpoint, method))
                .collect();
            if !parts.is_empty() {
                let method = METHODS.get(method).copied().unwrap_or(OTHER_METHOD);
                totals.push((name.as_str(), method, total(&parts)));
            }
        }
    }
    totals
}

fn total(parts: &[&Series]) -> Total {
    let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
    let mut counts = [0u64; CLASSES * 100];
    for part in parts {
        for (class, hundred) in part.statuses.iter().enumerate() {
            let cells = hundred.get().map_or(&[][..], |hundred| &hundred.0);
            for (at, cell) in cells.iter().enumerate() {
                counts[class * 100 + at] += read(cell);
            }
        }
    }
    let none: u64 = parts.iter().map(|part| read(&part.none)).sum();
    let statuses = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let statuses = statuses.map(|(at, count)| ((at + 100).to_string(), *count));
    let none = (none > 0).then(|| ("none".to_owned(), none));
    let buckets = (0..=BOUNDS.len())
        .map(|at| parts.iter().map(|part| read(&part.buckets[at])).sum())
        .collect();
    let nanos = parts
        .iter()
        .map(|part| read(&part.nanos))
        .fold(0, u64::wrapping_add);
    Total {
        statuses: statuses.chain(none).collect(),
        durations: Distribution {
            buckets,
            sum: std::time::Duration::from_nanos(nanos).as_secs_f64(),
        },
    }
}
