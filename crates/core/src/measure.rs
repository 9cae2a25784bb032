//! What a metric is; which there are stands in [`crate::names`].

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows; ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// One public metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name as it is scraped in the text format.
    pub name: &'static str,
    /// One sentence for `# HELP`.
    pub help: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// The names of its labels, in the order that values are given in.
    pub labels: &'static [&'static str],
}

/// Upper bounds in seconds for the duration of requests.
pub const REQUEST_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds in seconds for starting and stopping.
pub const LIFECYCLE_SECONDS: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0];
