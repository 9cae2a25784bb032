//! The control plane's metrics: few, rare and shared between threads.
//!
//! Whoever changes a number asks once for a handle and keeps it. Asking twice for the same series gives the same one.
//! A family takes at most [`MOST`] series; beyond that a handle works but is not shown, and is counted as dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use seaworthy_core::names::{Kind, Metric, metric};

use super::Registry;
use super::expose::{Distribution, Page};

/// The most series of one family.
const MOST: usize = 1000;

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the number.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the number, or takes away.
    pub fn add(&self, more: f64) {
        add_f64(&self.0, more);
    }

    /// The number.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds several.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Observations in buckets.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Observations>);

#[derive(Debug)]
struct Observations {
    bounds: &'static [f64],
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self(Arc::new(Observations {
            bounds,
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0f64.to_bits()),
        }))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let place = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.buckets[place].fetch_add(1, Ordering::Relaxed);
        add_f64(&self.0.sum, value);
    }

    fn read(&self) -> Distribution {
        Distribution {
            buckets: self
                .0
                .buckets
                .iter()
                .map(|cell| cell.load(Ordering::Relaxed))
                .collect(),
            sum: f64::from_bits(self.0.sum.load(Ordering::Relaxed)),
        }
    }
}

fn add_f64(cell: &AtomicU64, more: f64) {
    cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
        Some((f64::from_bits(bits) + more).to_bits())
    })
    .expect("the closure never refuses");
}

/// One gauge for each of several states, of which one is 1 and the others are 0.
#[derive(Debug, Clone)]
pub struct States(Vec<(&'static str, Gauge)>);

impl States {
    /// Enters a state; one that was not declared leaves none at 1.
    pub fn set(&self, state: &str) {
        for (name, gauge) in &self.0 {
            gauge.set(f64::from(u8::from(*name == state)));
        }
    }
}

type Read = Box<dyn Fn() -> f64 + Send + Sync>;

enum Series {
    Gauge(Gauge),
    Counter(Counter),
    Histogram(Histogram),
    Read(Read),
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Series")
    }
}

#[derive(Debug)]
struct Family {
    metric: &'static Metric,
    series: BTreeMap<Vec<String>, Series>,
}

/// All families by name.
#[derive(Debug, Default)]
pub(super) struct Controls {
    families: Mutex<BTreeMap<&'static str, Family>>,
    dropped: Counter,
}

impl Registry {
    /// A gauge; `values` go with the metric's labels, in their order.
    ///
    /// # Panics
    ///
    /// In debug builds, if the metric is no gauge or has another number of labels. The same holds for its siblings.
    pub fn gauge(&self, metric: &'static Metric, values: &[&str]) -> Gauge {
        debug_assert!(
            matches!(metric.kind, Kind::Gauge),
            "{} is no gauge",
            metric.name
        );
        self.controls.get_or_add(
            metric,
            values,
            |series| match series {
                Series::Gauge(gauge) => Some(gauge.clone()),
                _ => None,
            },
            Series::Gauge,
            Gauge::default(),
        )
    }

    /// A counter.
    pub fn counter(&self, metric: &'static Metric, values: &[&str]) -> Counter {
        debug_assert!(
            matches!(metric.kind, Kind::Counter),
            "{} is no counter",
            metric.name
        );
        self.controls.get_or_add(
            metric,
            values,
            |series| match series {
                Series::Counter(counter) => Some(counter.clone()),
                _ => None,
            },
            Series::Counter,
            Counter::default(),
        )
    }

    /// A histogram with the bounds of the metric.
    pub fn histogram(&self, metric: &'static Metric, values: &[&str]) -> Histogram {
        let bounds = match metric.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::Gauge => {
                debug_assert!(false, "{} is no histogram", metric.name);
                &[]
            }
        };
        self.controls.get_or_add(
            metric,
            values,
            |series| match series {
                Series::Histogram(histogram) => Some(histogram.clone()),
                _ => None,
            },
            Series::Histogram,
            Histogram::new(bounds),
        )
    }

    /// One gauge for each state of a metric with one label; all are 0 until the first [`States::set`].
    pub fn states(&self, metric: &'static Metric, states: &[&'static str]) -> States {
        States(
            states
                .iter()
                .map(|state| (*state, self.gauge(metric, &[state])))
                .collect(),
        )
    }

    /// A gauge or counter that is read where it lives when somebody scrapes; `read` must not block. The last one registered
    /// for a series counts.
    pub fn read(
        &self,
        metric: &'static Metric,
        values: &[&str],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.controls.with_family(metric, values, |family, values| {
            self.controls
                .put(family, values, Series::Read(Box::new(read)));
        });
    }

    /// Shows the series of something no longer, because it is gone: those whose first label is `name`. Handles of them go on
    /// working, unseen.
    pub fn forget(&self, metrics: &[&'static Metric], name: &str) {
        let controls = &self.controls.families;
        let mut families = controls.lock().unwrap_or_else(PoisonError::into_inner);
        for metric in metrics {
            if let Some(family) = families.get_mut(metric.name) {
                let is_gone = |values: &[String]| values.first().is_some_and(|value| value == name);
                family.series.retain(|values, _| !is_gone(values));
            }
        }
    }
}

impl Controls {
    /// The handle of a series, made if there is none; one lock for both, or two callers could each get their own.
    fn get_or_add<T: Clone>(
        &self,
        metric: &'static Metric,
        values: &[&str],
        find: impl Fn(&Series) -> Option<T>,
        wrap: impl Fn(T) -> Series,
        fresh: T,
    ) -> T {
        self.with_family(metric, values, |family, values| {
            if let Some(known) = family.series.get(&values).and_then(find) {
                return known;
            }
            self.put(family, values, wrap(fresh.clone()));
            fresh
        })
    }

    fn with_family<T>(
        &self,
        metric: &'static Metric,
        values: &[&str],
        act: impl FnOnce(&mut Family, Vec<String>) -> T,
    ) -> T {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}: labels", metric.name);
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(metric.name).or_insert_with(|| Family {
            metric,
            series: BTreeMap::new(),
        });
        act(
            family,
            values.iter().map(|value| (*value).to_owned()).collect(),
        )
    }

    fn put(&self, family: &mut Family, values: Vec<String>, series: Series) {
        if family.series.len() >= MOST && !family.series.contains_key(&values) {
            self.dropped.inc();
        } else {
            family.series.insert(values, series);
        }
    }

    pub(super) fn expose(&self, page: &mut Page) {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        for Family { metric, series } in families.values() {
            page.family(metric);
            for (values, series) in series {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                match series {
                    Series::Gauge(gauge) => page.sample(metric, &values, number(gauge.get())),
                    Series::Counter(counter) => page.sample(metric, &values, counter.get()),
                    Series::Histogram(histogram) => {
                        page.distribution(metric, &values, &histogram.read())
                    }
                    Series::Read(read) => page.sample(metric, &values, number(read())),
                }
            }
        }
        page.family(&metric::SERIES_DROPPED);
        page.sample(&metric::SERIES_DROPPED, &[], self.dropped.get());
    }
}

/// The formats have their own words for what Rust calls `inf`.
fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}
