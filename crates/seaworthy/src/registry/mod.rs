//! Logs that many instances read: where versions of settings are published and acknowledged.
//!
//! What is believed and what holds is judged in `seaworthy_config::registry`; here is only how a log is reached. A log is asked every
//! now and then and never waits for news, so that one that is slow or away costs the service nothing.

mod directory;
mod kafka;
mod member;
mod postgres;
mod remote;
mod rollout;
mod trouble;
mod watch;
mod wish;

pub use directory::DirectoryLog;
pub use kafka::KafkaLog;
pub use member::Member;
pub use postgres::PostgresLog;
pub use remote::{Remote, Undone};
pub use rollout::Publisher;
pub use trouble::Trouble;
pub use wish::Wish;

use crate::config::{Config, Registry};

/// The log of one environment.
#[derive(Debug)]
pub enum Log {
    /// Files in a folder.
    Directory(DirectoryLog),
    /// Topics of Apache Kafka.
    Kafka(Box<KafkaLog>),
    /// Tables of a Postgres database.
    Postgres(Box<PostgresLog>),
}

impl Log {
    /// The log that `config` names; nothing is opened yet.
    #[must_use]
    pub fn of(registry: &Registry, config: &Config) -> Option<Self> {
        let environment = config.registry_environment();
        if let Some(kafka) = &registry.kafka {
            return Some(Self::Kafka(Box::new(KafkaLog::new(kafka, environment))));
        }
        if let Some(postgres) = &registry.postgres {
            return Some(Self::Postgres(Box::new(PostgresLog::new(
                postgres,
                environment,
            ))));
        }
        let folder = config.folder.join(registry.directory.as_ref()?);
        Some(Self::Directory(DirectoryLog::new(&folder, environment)))
    }

    /// Writes one record more behind all others. When this returns, it stays.
    ///
    /// # Errors
    /// The log cannot be reached. Whether the record is there is not known then.
    pub async fn append(&mut self, text: &str) -> Result<(), Trouble> {
        match self {
            Self::Directory(log) => log.append(text).await,
            Self::Kafka(log) => log.append(text).await,
            Self::Postgres(log) => log.append(text).await,
        }
    }

    /// All records since the last call, in the order that everybody sees; the first call gives all that are kept.
    ///
    /// # Errors
    /// The log cannot be reached; the next call goes on from here.
    pub async fn news(&mut self) -> Result<Vec<String>, Trouble> {
        match self {
            Self::Directory(log) => log.news().await,
            Self::Kafka(log) => log.news().await,
            Self::Postgres(log) => log.news().await,
        }
    }

    /// Says what became of the latest record here, instead of what was said before.
    ///
    /// # Errors
    /// The log cannot be reached.
    pub async fn acknowledge(&mut self, instance: &str, text: &str) -> Result<(), Trouble> {
        match self {
            Self::Directory(log) => log.acknowledge(instance, text).await,
            Self::Kafka(log) => log.acknowledge(instance, text).await,
            Self::Postgres(log) => log.acknowledge(instance, text).await,
        }
    }

    /// What each instance said last.
    ///
    /// # Errors
    /// The log cannot be reached.
    pub async fn acks(&mut self) -> Result<Vec<String>, Trouble> {
        match self {
            Self::Directory(log) => log.acks().await,
            Self::Kafka(log) => log.acks().await,
            Self::Postgres(log) => log.acks().await,
        }
    }
}
