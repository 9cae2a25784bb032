//! Whether a Kafka cluster answers, has the topics it should have, and how far behind a group of consumers is.
//!
//! It speaks the protocol itself. The crate kafka-protocol 0.18 makes room for as many items as an answer announces before it
//! has seen one: eight bytes of garbage ask for hundreds of gigabytes, and that ends the whole process. Seven requests in the
//! versions without tagged fields, which Kafka speaks from 2.1 to this day, are less code than guarding against it.
//!
//! It never makes a topic, joins no group, and commits nothing. It keeps one connection, to a broker of `bootstrap`; those
//! to the group's coordinator and to leaders of partitions are closed when the run ends. With several brokers each run
//! that fails begins with the next one, so that one dead machine in the list costs one run.

mod cluster;
mod connection;
mod lag;
mod options;
mod wire;

pub use options::{Kafka, Password};

use std::sync::atomic::{AtomicUsize, Ordering};

use super::socket::{Kept, Security, Trouble};
use crate::{Check, Outcome, Running};
use cluster::{Cluster, Topic};
use connection::{Connection, Login};

const TONGUE: &str = "Kafka";

/// The check.
struct Answers {
    options: Kafka,
    /// Host and port of each broker in the list.
    brokers: Vec<(String, u16)>,
    security: Security,
    login: Option<Login>,
    /// The broker to begin with.
    turn: AtomicUsize,
    /// Where no check may go.
    own: Vec<std::net::SocketAddr>,
    kept: Kept<Connection>,
}

impl Check for Answers {
    fn kind(&self) -> &'static str {
        <Kafka as super::Probe>::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            let looked = self.look().await;
            looked.unwrap_or_else(|trouble| trouble.outcome(TONGUE))
        })
    }
}

impl Answers {
    async fn look(&self) -> Result<Outcome, Trouble> {
        if let Some(mut connection) = self.kept.take() {
            match self.ask(&mut connection).await {
                // It ended while nobody looked, which says nothing about now.
                Err(Trouble::Io(_)) => {}
                asked => return self.keep(connection, asked),
            }
        }
        let mut connection = self.connect().await?;
        let asked = self
            .ask(&mut connection)
            .await
            .map_err(|trouble| self.explain(trouble));
        self.keep(connection, asked)
    }

    fn keep(
        &self,
        connection: Connection,
        asked: Result<Outcome, Trouble>,
    ) -> Result<Outcome, Trouble> {
        let outcome = asked?;
        self.kept.put(connection);
        Ok(outcome)
    }

    /// The first broker of the list that lets us in.
    async fn connect(&self) -> Result<Connection, Trouble> {
        let mut last = Trouble::Says("there is no broker to ask".to_owned());
        for _ in &self.brokers {
            // Counted on before it is tried: a run that is cut short here shall not begin here again.
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let Some((host, port)) = self.brokers.get(turn % self.brokers.len()) else {
                break;
            };
            match Connection::open(host, *port, &self.security, self.login.as_ref()).await {
                Ok(connection) => {
                    self.turn.store(turn, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// A broker that wants a login closes the connection at the first real question.
    fn explain(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Io(error) if self.login.is_none() && ended(&error) => Trouble::Says(
                "it ended the connection; it may want a user and a password".to_owned(),
            ),
            other => other,
        }
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Outcome, Trouble> {
        let mut names: Vec<&str> = self.options.topics.iter().map(String::as_str).collect();
        let lagging = self
            .options
            .group
            .as_deref()
            .zip(self.options.topic.as_deref());
        names.extend(
            lagging
                .map(|(_, topic)| topic)
                .filter(|topic| !self.options.topics.iter().any(|name| name == topic)),
        );
        let cluster = Cluster::ask(connection, &names).await?;
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
