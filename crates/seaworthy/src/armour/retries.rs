//! The plans by which requests are sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seaworthy_core::names::metric;
use seaworthy_core::retry::Budget;
use seaworthy_http::retry::{Plan, Tally};
use seaworthy_http::timeout;
use seaworthy_telemetry::metrics::Registry;

use crate::config::Config;
use crate::config::retry::{On, Retry};

/// What all repetitions of requests to one upstream share.
#[derive(Debug, Clone)]
pub struct Repeats {
    share: (f64, u32),
    budget: Arc<Budget>,
    tally: Arc<Tally>,
}

impl Repeats {
    /// For requests to `upstream`, as metrics call it; `retry` says how large the budget is.
    pub fn new(upstream: &str, retry: &Retry, registry: &Registry) -> Self {
        let repeats = Self {
            share: (retry.budget.get(), retry.budget_floor),
            budget: Arc::new(Budget::new(retry.budget.get(), retry.budget_floor)),
            tally: Arc::new(Tally::default()),
        };
        type Counter = fn(&Tally) -> &AtomicU64;
        let show = |metric, labels: &[&str], counter: Counter| {
            let tally = repeats.tally.clone();
            // Counters are exact in a float up to 2^53.
            #[allow(clippy::cast_precision_loss)]
            let read = move || counter(&tally).load(Ordering::Relaxed) as f64;
            registry.read(metric, labels, read);
        };
        show(&metric::RETRIES, &[upstream], |tally| &tally.retries);
        show(&metric::RETRY_OUTCOMES, &[upstream, "recovered"], |tally| {
            &tally.recovered
        });
        show(&metric::RETRY_OUTCOMES, &[upstream, "failed"], |tally| {
            &tally.failed
        });
        show(&metric::RETRY_BUDGET_EXHAUSTED, &[upstream], |tally| {
            &tally.exhausted
        });
        repeats
    }

    /// What repetitions of requests to the app share, if there are any. While the file says the same of it, that is what they
    /// shared `before`.
    pub(super) fn of_app(
        config: &Config,
        before: Option<&Self>,
        registry: &Registry,
    ) -> Option<Self> {
        let own = || config.routes.iter().find_map(|route| route.retry.as_ref());
        let first = config.retry.as_ref().or_else(own)?;
        let share = (first.budget.get(), first.budget_floor);
        let same = before.filter(|before| before.share == share);
        Some(match same {
            Some(same) => same.clone(),
            None => Self::new("app", first, registry),
        })
    }

    /// The plan that `retry` describes; `None` when it never repeats.
    pub fn plan(&self, retry: &Retry, deadline: Option<Duration>) -> Option<Arc<Plan>> {
        (retry.max > 0).then(|| {
            Arc::new(Plan {
                schedule: retry.schedule(),
                eligible: retry.eligible(),
                connect: retry.on.contains(&On::Connect),
                statuses: retry.statuses(),
                keep: usize::try_from(retry.keep_body.get()).unwrap_or(usize::MAX),
                deadline,
                budget: Some(self.budget.clone()),
                tally: self.tally.clone(),
            })
        })
    }
}

/// The time that no request of a route goes beyond, to the head of its answer.
pub fn deadline(limits: &timeout::Limits) -> Option<Duration> {
    [limits.response, limits.total].into_iter().flatten().min()
}

/// How long one try may take where a breaker has to learn of it: a little less than the whole, because the whole ends without
/// a word to anybody below.
pub fn attempt(limits: &timeout::Limits) -> Option<Duration> {
    let whole = deadline(limits)?;
    Some(whole - (whole / 20).min(Duration::from_millis(100)))
}
