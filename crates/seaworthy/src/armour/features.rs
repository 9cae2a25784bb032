//! What becomes of features, told to whoever wants to know: the views at once, the webhook, and the log where a fallback
//! ends by itself.

use std::time::Duration;

use seaworthy_core::event::Event;
use seaworthy_core::names::event;
use seaworthy_health::{Board, Features, News};
use seaworthy_lifecycle::journal::Journal;

use super::Underway;
use super::webhook::Webhook;
use crate::config::Config;

/// How often fallbacks are looked for whose time is over.
const LOOK: Duration = Duration::from_millis(250);

/// Tells what becomes of features, and ends fallbacks whose time is over, until it is dropped.
pub fn keep_features(
    config: &Config,
    journal: &Journal,
    board: &Board,
    underway: &Underway,
) -> impl Future<Output = ()> + Send + 'static {
    let features = Features::global();
    let webhook = config
        .features
        .webhook
        .as_ref()
        .map(|webhook| Webhook::start(webhook, &config.service.name, journal, underway));
    if let Some(webhook) = &webhook {
        // A variable that is missing degrades one before anybody watches.
        for document in features.degraded() {
            if let Some(fallback) = features.fallback(&document.name) {
                webhook.tell(&document.name, &News::Degraded(fallback));
            }
        }
    }
    let (journal, board) = (journal.clone(), board.clone());
    features.watch(move |name, news| {
        board.update(|_| ());
        if *news == News::Ended {
            let words = format!("the feature {name} is as it should be again");
            let event = Event::new(event::FEATURE_RECOVERED, words);
            journal.record(event.with_evidence("the time that was set for its fallback is over"));
        }
        if let Some(webhook) = &webhook {
            webhook.tell(name, news);
        }
    });
    async move {
        loop {
            tokio::time::sleep(LOOK).await;
            features.expire();
        }
    }
}
