//! The shutdown budget of this process, in this place.

use std::collections::BTreeMap;
use std::time::Duration;

use seaworthy_core::budget::Budget;

use crate::config::Config;
use crate::config::shutdown::USUAL_PROPAGATION;
use crate::failure::Failure;

/// Derives the phases from the grace period. Without Kubernetes nobody routes by readiness, and a delay would only be one.
pub(super) fn derive(config: &Config, env: &BTreeMap<String, String>) -> anyhow::Result<Budget> {
    let in_kubernetes = env.contains_key("KUBERNETES_SERVICE_HOST");
    let usual = if in_kubernetes {
        USUAL_PROPAGATION.get()
    } else {
        Duration::ZERO
    };
    // A ramp is a part of the propagation, so asking for one asks for the other.
    Budget::derive(&config.shutdown.wishes(), usual.max(config.shutdown.ramp.0))
        .map_err(|error| Failure::usage(error.to_string()).into())
}

/// The budget in one line.
pub(super) fn words(budget: &Budget) -> String {
    let seconds = |time: Duration| format!("{}s", time.as_secs_f64());
    format!(
        "{} propagation, {} drain, {} hooks, {} app, within {} grace",
        seconds(budget.propagation),
        seconds(budget.drain),
        seconds(budget.hooks),
        seconds(budget.app),
        seconds(budget.grace),
    )
}
