//! The text that scrapers read: format 0.0.4, or OpenMetrics 1.0 from the same numbers.
//!
//! The two differ in little: OpenMetrics names a counter's family without `_total`, writes bounds as floats, and marks the
//! end, so that a page cut in the middle is noticed.

use std::fmt::{self, Write};

use seaworthy_core::names::{Kind, Metric};

/// A page under construction. Families are written one after the other, each with all of its series.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    openmetrics: bool,
}

/// The numbers of one histogram series, buckets not accumulated, the last one without an upper bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distribution {
    pub(super) buckets: Vec<u64>,
    pub(super) sum: f64,
}

impl Page {
    pub(super) fn new(openmetrics: bool) -> Self {
        Self {
            text: String::with_capacity(16 * 1024),
            openmetrics,
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.openmetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// Begins a family.
    pub(super) fn family(&mut self, metric: &Metric) {
        let (family, kind) = match metric.kind {
            Kind::Counter if self.openmetrics => (
                metric.name.strip_suffix("_total").unwrap_or(metric.name),
                "counter",
            ),
            Kind::Counter => (metric.name, "counter"),
            Kind::Gauge => (metric.name, "gauge"),
            Kind::Histogram(_) => (metric.name, "histogram"),
        };
        let help = metric.help;
        self.put(format_args!(
            "# HELP {family} {help}\n# TYPE {family} {kind}\n"
        ));
    }

    /// One series of a counter or a gauge.
    pub(super) fn sample(&mut self, metric: &Metric, values: &[&str], number: impl fmt::Display) {
        self.text.push_str(metric.name);
        self.labels(metric.labels, values, None);
        self.put(format_args!(" {number}\n"));
    }

    /// One series of a histogram.
    pub(super) fn distribution(&mut self, metric: &Metric, values: &[&str], of: &Distribution) {
        let Kind::Histogram(bounds) = metric.kind else {
            return;
        };
        let mut count = 0;
        let bounds = bounds.iter().map(Some).chain([None]);
        for (bound, bucket) in bounds.zip(&of.buckets) {
            count += bucket;
            let bound = match bound {
                Some(bound) if self.openmetrics => format!("{bound:?}"),
                Some(bound) => bound.to_string(),
                None => "+Inf".to_owned(),
            };
            self.put(format_args!("{}_bucket", metric.name));
            self.labels(metric.labels, values, Some(&bound));
            self.put(format_args!(" {count}\n"));
        }
        for (suffix, number) in [("sum", &of.sum as &dyn fmt::Display), ("count", &count)] {
            self.put(format_args!("{}_{suffix}", metric.name));
            self.labels(metric.labels, values, None);
            self.put(format_args!(" {number}\n"));
        }
    }

    fn labels(&mut self, names: &[&str], values: &[&str], bound: Option<&str>) {
        let mut separator = '{';
        let pairs = names.iter().copied().zip(values.iter().copied());
        for (name, value) in pairs.chain(bound.map(|bound| ("le", bound))) {
            self.text.push(separator);
            separator = ',';
            self.put(format_args!("{name}=\""));
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str(r"\\"),
                    '"' => self.text.push_str(r#"\""#),
                    '\n' => self.text.push_str(r"\n"),
                    plain => self.text.push(plain),
                }
            }
            self.text.push('"');
        }
        if separator == ',' {
            self.text.push('}');
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("a string takes every write, and numbers print");
    }
}
