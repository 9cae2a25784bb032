//! The phases of a stop up to the last request; what follows is the lifecycle's.

use std::time::{Duration, Instant};

use seaworthy_core::budget::{Budget, Wishes};
use seaworthy_http::drain::{Drain, Phase};
use seaworthy_lifecycle::signals::{Meaning, Signals};

/// The platform's patience.
const GRACE: Duration = Duration::from_secs(30);
/// How often the requests inside are counted.
const COUNT: Duration = Duration::from_millis(5);

/// Completes when the service was told to stop and every request is out, or has been ended by the deadline.
pub(crate) async fn drained(mut signals: Signals, drain: Drain) {
    while !matches!(signals.next().await, Meaning::Stop(_)) {}
    let usual = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Duration::from_secs(5)
    } else {
        Duration::ZERO
    };
    let budget = Budget::derive(&Wishes::new(GRACE), usual)
        .expect("what is derived from the grace period fits into it");
    tracing::info!(%budget, "shutting down");
    drain.advance(Phase::Propagating);
    tokio::time::sleep(budget.propagation).await;
    drain.advance(Phase::Draining);
    tracing::info!(inside = drain.inside(), "draining");
    let deadline = Instant::now() + budget.drain;
    while drain.inside() > 0 && Instant::now() < deadline {
        tokio::time::sleep(COUNT).await;
    }
    drain.advance(Phase::Cut);
    tracing::info!(completed = drain.completed(), cut = drain.cut(), "drained");
}
