//! Posts what becomes of features, one document after the other, until each is taken or nobody takes it.
//!
//! Whoever has news never waits: documents stand in a short queue, and a task of the control thread sends them in their
//! order. One that is not taken is sent again after growing waits, so a receiver may see it twice and knows it by its `id`.
//! An answer that says the document itself is wrong (4xx) ends the tries, and so does their number.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::event;
use seaworthy_health::News;
use seaworthy_http::outbound::Client;
use seaworthy_lifecycle::journal::Journal;
use serde::Serialize;
use tokio::sync::mpsc;

use super::Underway;
use crate::config::features;

/// Documents that wait.
const QUEUE: usize = 64;
/// The most of an answer that is read.
const LARGEST: usize = 64 * 1024;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The way to whoever is told. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    queue: mpsc::Sender<Document>,
    service: Arc<str>,
    journal: Journal,
    underway: Underway,
}

/// What is posted.
#[derive(Clone, Debug, Serialize)]
struct Document {
    /// The same for each try.
    id: String,
    /// `feature.degraded` or `feature.recovered`.
    event: &'static str,
    service: Arc<str>,
    feature: String,
    /// What is served: `primary`, or the name of a fallback.
    active: String,
    /// Why it is on its fallback, or no longer.
    reason: String,
    timestamp: String,
}

impl Webhook {
    /// Starts the task that sends.
    pub(super) fn start(
        config: &features::Webhook,
        service: &str,
        journal: &Journal,
        underway: &Underway,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let sender = Sender {
            client: Client::new(&config.url, config.ca.clone(), LARGEST),
            timeout: config.timeout.get(),
            attempts: config.attempts,
            journal: journal.clone(),
            underway: underway.clone(),
        };
        tokio::spawn(sender.send_all(waiting));
        Self {
            queue,
            service: service.into(),
            journal: journal.clone(),
            underway: underway.clone(),
        }
    }

    /// Queues a document.
    pub(super) fn tell(&self, feature: &str, news: &News) {
        let (event, active, reason) = match news {
            News::Degraded(fallback) => (
                event::FEATURE_DEGRADED,
                fallback.active.as_str(),
                fallback.reason.as_str(),
            ),
            News::Recovered => (event::FEATURE_RECOVERED, "primary", ""),
            News::Ended => (event::FEATURE_RECOVERED, "primary", "its time is over"),
        };
        let document = Document {
            id: format!("{:032x}", fastrand::u128(..)),
            event,
            service: self.service.clone(),
            feature: feature.to_owned(),
            active: active.to_owned(),
            reason: reason.to_owned(),
            timestamp: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        };
        self.underway.begin();
        if let Err(full) = self.queue.try_send(document) {
            self.underway.end();
            let document = full.into_inner();
            lost(&self.journal, &document, "too many others wait");
        }
    }
}

struct Sender {
    client: Client,
    timeout: Duration,
    attempts: u32,
    journal: Journal,
    underway: Underway,
}

impl Sender {
    async fn send_all(self, mut waiting: mpsc::Receiver<Document>) {
        while let Some(document) = waiting.recv().await {
            if let Err(why) = self.send(&document).await {
                lost(&self.journal, &document, &why);
            }
            self.underway.end();
        }
    }

    async fn send(&self, document: &Document) -> Result<(), String> {
        let text = serde_json::to_vec(document).map_err(|error| error.to_string())?;
        let text = Bytes::from(text);
        let mut wait = FIRST_WAIT;
        let mut tries = 0;
        loop {
            let why = match self.client.post(text.clone(), self.timeout).await {
                Ok(answer) if (200..300).contains(&answer.status) => return Ok(()),
                Ok(answer) => {
                    let why = format!("it answers {}", answer.status);
                    if is_final(answer.status) {
                        return Err(why);
                    }
                    why
                }
                Err(failure) => failure.to_string(),
            };
            tries += 1;
            if tries >= self.attempts {
                return Err(why);
            }
            tokio::time::sleep(wait.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// Whether asking again would change nothing.
fn is_final(status: u16) -> bool {
    (300..500).contains(&status) && !matches!(status, 408 | 425 | 429)
}

fn lost(journal: &Journal, document: &Document, why: &str) {
    let words = format!("nobody could be told of {}", document.event);
    let event = Event::new(event::FEATURE_WEBHOOK, words).with_level(Level::Warn);
    journal.record(event.with_evidence(format!("the feature {}, {why}", document.feature)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, ends) in [(301, true), (400, true), (404, true), (410, true)] {
            assert_eq!(is_final(status), ends, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503] {
            assert!(!is_final(status), "{status}");
        }
    }
}
