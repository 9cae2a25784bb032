//! Whether a Kafka cluster answers, has the topics it should have, and how far behind a group of consumers is.
//!
//! It speaks the protocol itself. The crate kafka-protocol 0.18 makes room for as many items as an answer announces before it
//! has seen one: eight bytes of garbage ask for hundreds of gigabytes, and that ends the whole process. Seven requests in the
//! versions without tagged fields, which Kafka speaks from 2.1 to this day, are less code than guarding against it.
//!
//! A check never makes a topic, joins no group, and commits nothing. It keeps one connection, to a broker of `bootstrap`; those
//! to the group's coordinator and to leaders of partitions are closed when the run ends. With several brokers each run
//! that fails begins with the next one, so that one dead machine in the list costs one run.

//!
//! [`Log`] is for others than checks: it appends to a topic and reads it from its beginning, over the same connections.

mod answer;
mod batch;
mod bootstrap;
mod cluster;
mod connection;
mod fetch;
mod lag;
mod log;
mod options;
mod produce;
mod wire;

pub use batch::{LONGEST_VALUE, Record, Skipped};
pub use bootstrap::Bootstrap;
pub use log::Log;
pub use options::{Kafka, Password};

use super::kept::Question;
use super::trouble::Trouble;
use crate::Outcome;
use cluster::{Cluster, Topic};
use connection::Connection;

impl Question<Bootstrap> for Kafka {
    async fn ask(&self, connection: &mut Connection) -> Result<Outcome, Trouble> {
        let is_untried = connection.is_untried();
        let looked = self.look(connection).await;
        looked.map_err(|trouble| suspect(trouble, is_untried))
    }
}

impl Kafka {
    async fn look(&self, connection: &mut Connection) -> Result<Outcome, Trouble> {
        let mut names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let lagging = self.group.as_deref().zip(self.topic.as_deref());
        names.extend(
            lagging
                .map(|(_, topic)| topic)
                .filter(|topic| !self.topics.iter().any(|name| name == topic)),
        );
        let cluster = Cluster::ask(connection, &names, false).await?;
        let mut outcome = match names.iter().find_map(|name| fault(name, &cluster.topics)) {
            Some(fault) => Outcome::unhealthy(fault),
            None if cluster.brokers.is_empty() => Outcome::unhealthy("it knows of no broker"),
            None => match lagging {
                Some((group, topic)) => self.lag(connection, &cluster, group, topic).await?,
                None => Outcome::healthy(format!("it knows of {}", count(cluster.brokers.len()))),
            },
        };
        outcome = outcome.with("brokers", cluster.brokers.len());
        if cluster.controller >= 0 {
            outcome = outcome.with("controller", cluster.controller);
        }
        Ok(outcome)
    }
}

/// A broker that wants a login closes the connection at the first real question.
fn suspect(trouble: Trouble, is_untried: bool) -> Trouble {
    match trouble {
        Trouble::Io(error) if is_untried && ended(&error) => {
            Trouble::says("it ended the connection; it may want a user and a password")
        }
        trouble => trouble,
    }
}

fn ended(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

fn count(brokers: usize) -> String {
    match brokers {
        1 => "1 broker".to_owned(),
        more => format!("{more} brokers"),
    }
}

/// What is wrong with the topic `name`.
fn fault(name: &str, topics: &[Topic]) -> Option<String> {
    let Some(topic) = topics.iter().find(|topic| topic.name == name) else {
        return Some(format!("it does not tell about the topic `{name}`"));
    };
    let headless = topic
        .leaders
        .iter()
        .filter(|(_, leader)| *leader < 0)
        .count();
    match topic.error {
        0 | 5 if headless > 0 => {
            let all = topic.leaders.len();
            Some(format!(
                "{headless} of {all} partitions of `{name}` have no leader"
            ))
        }
        0 => None,
        3 => Some(format!("there is no topic `{name}` (3)")),
        29 => Some(format!("the user may not look at the topic `{name}` (29)")),
        code => Some(format!("the topic `{name}` cannot be used ({code})")),
    }
}
