//! What `status` shows of a running service.

use std::sync::Arc;
use std::time::Instant;

use seaworthy_lifecycle::journal::Journal;
use seaworthy_telemetry::metrics::Registry;

use super::face::Face;
use crate::instance::{Status, status};

/// So many of the latest events are part of it.
const EVENTS_SHOWN: usize = 10;

/// Shows how the service does whenever it is called. `budget` is the shutdown budget in words.
pub(super) fn of(
    face: &Face,
    registry: &Arc<Registry>,
    journal: &Journal,
    budget: String,
) -> Arc<dyn Fn() -> Status + Send + Sync> {
    let (face, registry, began) = (face.clone(), registry.clone(), Instant::now());
    let journal = journal.clone();
    Arc::new(move || {
        let snapshot = face.board().snapshot();
        Status {
            state: snapshot.state.to_owned(),
            health: snapshot.status().word().to_owned(),
            verdict: snapshot.verdict().word().to_owned(),
            pid: std::process::id(),
            uptime_s: began.elapsed().as_secs(),
            app: status::App {
                instances: face.instances(),
            },
            inflight: registry.in_progress(),
            events: latest(&journal),
            shutdown: serde_json::json!({"budget": budget}),
        }
    })
}

/// The latest events.
fn latest(journal: &Journal) -> Vec<status::Event> {
    let all = journal.recent();
    let shown = all.iter().skip(all.len().saturating_sub(EVENTS_SHOWN));
    shown
        .map(|entry| status::Event {
            at: jiff::Timestamp::try_from(entry.at)
                .unwrap_or_default()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            event: entry.event.name.to_owned(),
            text: entry.event.to_string(),
        })
        .collect()
}
