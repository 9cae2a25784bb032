//! Counts of who asked with what, and of what was decided.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::names::metric;
use seaworthy_http::auth;
use seaworthy_telemetry::metrics::{Counter, Histogram, Registry};

/// Counts what came of requests.
pub(super) struct Told {
    outcomes: Vec<(&'static str, Counter)>,
    decisions: Vec<(&'static str, Counter)>,
    latency: Histogram,
}

impl Told {
    pub(super) fn new(registry: &Arc<Registry>) -> Self {
        let count = |metric, words: &[&'static str]| {
            let counters = words
                .iter()
                .map(|word| (*word, registry.counter(metric, &[word])));
            counters.collect()
        };
        Self {
            outcomes: count(
                &metric::AUTHENTICATIONS,
                &[
                    "api_key",
                    "jwt",
                    "header",
                    "anonymous",
                    "refused",
                    "unavailable",
                ],
            ),
            decisions: count(&metric::POLICY_DECISIONS, &["allow", "deny", "error"]),
            latency: registry.histogram(&metric::POLICY_LATENCY, &[]),
        }
    }
}

fn inc(counters: &[(&'static str, Counter)], word: &str) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == word) {
        counter.inc();
    }
}

impl auth::Watch for Told {
    fn identified(&self, outcome: &'static str) {
        inc(&self.outcomes, outcome);
    }

    fn decided(&self, decision: &'static str, took: Duration) {
        inc(&self.decisions, decision);
        self.latency.observe(took.as_secs_f64());
    }
}
