//! The registry in Kafka: one topic of records, one of what instances say about them.
//!
//! The key of a record is the environment, and the key of an acknowledgement is the environment with the instance, so that a topic
//! that is compacted keeps the latest of each. Followers make no topics: that is left to whoever publishes first, or to the people
//! who run the cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::names::event;
use seaworthy_health::probe::kafka::{Bootstrap, LONGEST_VALUE, Log, Record};

use crate::config::registry::KafkaRegistry;

use super::trouble::{LONGEST_ACK, Trouble, fits, within};

/// How long the topic of acknowledgements may take to be made, of the time that appending has.
const MAKING: Duration = Duration::from_millis(1500);

/// Instances whose acknowledgements are remembered. Those that said something lately push out those that did long ago.
const MOST_INSTANCES: usize = 4096;

/// The log of one environment.
#[derive(Debug)]
pub struct KafkaLog {
    environment: String,
    updates: Log,
    acks: Log,
    /// What errors name.
    place: String,
    /// Whether the topic of acknowledgements was looked for.
    has_acks: bool,
    /// The latest of each instance, with its place in the topic.
    said: HashMap<String, (i64, String)>,
}

impl KafkaLog {
    /// The log of `environment`. Opens nothing.
    pub fn new(section: &KafkaRegistry, environment: &str) -> Self {
        let login = section.user.clone().zip(section.password.as_ref());
        let bootstrap = Arc::new(Bootstrap::new(
            &section.bootstrap,
            login.map(|(user, password)| (user, password.expose().to_owned())),
            section.tls,
            section.ca.clone(),
        ));
        Self {
            environment: environment.to_owned(),
            updates: Log::new(bootstrap.clone(), &section.topic),
            acks: Log::new(bootstrap.clone(), &section.ack_topic),
            place: format!("the registry in Kafka at {bootstrap}"),
            has_acks: false,
            said: HashMap::new(),
        }
    }

    /// Puts one record more at the end, and makes the topics if brokers let it. All replicas that are in step have it then. After
    /// an error it may be there all the same.
    ///
    /// # Errors
    /// When it is not known to be there.
    pub async fn append(&mut self, text: &str) -> Result<(), Trouble> {
        let (updates, acks) = (&mut self.updates, &mut self.acks);
        let (environment, has_acks) = (&self.environment, &mut self.has_acks);
        fits(&self.place, text, LONGEST_VALUE)?;
        within(&self.place, async {
            updates.make().await?;
            // Followers need it, and the record does not: that it is missing is said where it is used.
            if !*has_acks {
                let made = tokio::time::timeout(MAKING, acks.make()).await;
                *has_acks = matches!(made, Ok(Ok(())));
            }
            updates
                .append(environment.as_bytes(), text.as_bytes())
                .await
        })
        .await
    }

    /// The records of this environment since the last call, the oldest first; the first call gives all that is kept. A record is
    /// left out that is longer than 1 MiB, no text, or compressed. One may come twice when the topic was made anew, and after about
    /// 64 MiB the rest comes with the next call.
    ///
    /// # Errors
    /// When the topic cannot be read; what was read before comes with the next call.
    pub async fn news(&mut self) -> Result<Vec<String>, Trouble> {
        let records = within(&self.place, self.updates.read()).await;
        tell_skipped(&mut self.updates);
        let own = records?.into_iter();
        let own = own.filter(|record| record.key == self.environment.as_bytes());
        Ok(own.filter_map(text).collect())
    }

    /// Replaces what `instance` said before.
    ///
    /// # Errors
    /// When it is not known to be there.
    pub async fn acknowledge(&mut self, instance: &str, text: &str) -> Result<(), Trouble> {
        let key = format!("{}/{instance}", self.environment);
        let acks = &mut self.acks;
        fits(&self.place, text, LONGEST_ACK)?;
        within(&self.place, acks.append(key.as_bytes(), text.as_bytes())).await
    }

    /// What each instance of this environment said last.
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub async fn acks(&mut self) -> Result<Vec<String>, Trouble> {
        let records = within(&self.place, self.acks.read()).await;
        tell_skipped(&mut self.acks);
        let prefix = format!("{}/", self.environment);
        for record in records? {
            let key = String::from_utf8_lossy(&record.key);
            let Some(instance) = key.strip_prefix(&prefix).map(str::to_owned) else {
                continue;
            };
            let offset = record.offset;
            match text(record) {
                Some(text) if text.len() <= LONGEST_ACK => {
                    self.said.insert(instance, (offset, text));
                }
                Some(_) => {}
                None => {
                    self.said.remove(&instance);
                }
            }
        }
        self.forget();
        Ok(self.said.values().map(|(_, text)| text.clone()).collect())
    }

    /// Instances come and go, and nobody says when one is gone for good.
    fn forget(&mut self) {
        let excess = self.said.len().saturating_sub(MOST_INSTANCES);
        let ages = self.said.values().map(|(offset, _)| *offset);
        let mut ages: Vec<i64> = ages.collect();
        ages.sort_unstable();
        if let Some(oldest) = ages.get(excess).copied() {
            self.said.retain(|_, (offset, _)| *offset >= oldest);
        }
    }
}

/// Otherwise a version would be missing and nobody could see why.
fn tell_skipped(log: &mut Log) {
    if let Some(skipped) = log.skipped() {
        let (topic, offset, why) = (log.topic(), skipped.offset, skipped.why);
        tracing::warn!(
            event = event::REGISTRY_SKIPPED,
            topic,
            offset,
            "the record {offset} of `{topic}` is left out: {why}"
        );
    }
}

fn text(record: Record) -> Option<String> {
    String::from_utf8(record.value?).ok()
}
