//! Whether RabbitMQ lets a user in, and how much waits in a queue.
//!
//! It opens a channel and closes it, over a connection that stays; a queue is declared passively, which asks and never makes
//! one. It needs no management plugin, and therefore says nothing about nodes, alarms or memory.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use super::amqp::wire::{Writer, fits};
use super::amqp::{Connection, Reply, TONGUE};
use super::socket::{Kept, Security, Trouble};
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome, Running};

/// Logs in to RabbitMQ and opens a virtual host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RabbitMq {
    /// Where it is and how to get in, such as `amqp://shop:secret@rabbit:5672/shop`; `amqps` for TLS. The path is the virtual
    /// host, `/` without one; user and password are `guest` without them.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// A queue that must exist; its depth is judged. It is looked at and never made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// More messages than this waiting in `queue` are `degraded`.
    #[serde(default = "warn")]
    pub warn: u32,
    /// More messages than this waiting in `queue` are a failure.
    #[serde(default = "fail")]
    pub fail: u32,
    /// A PEM file with the certificates to trust over TLS; the system's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

fn warn() -> u32 {
    1000
}

fn fail() -> u32 {
    10_000
}

impl Probe for RabbitMq {
    const KIND: &'static str = "rabbitmq";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, &["amqp", "amqps"], around, faults);
        if !fits(&self.url.name()) {
            let message = "a virtual host has at most 255 bytes";
            faults.push(Fault::new("url", message, "shorten the path of the URL"));
        }
        if self
            .queue
            .as_deref()
            .is_some_and(|queue| queue.is_empty() || !fits(queue))
        {
            let message = "the name of a queue has 1 to 255 bytes";
            faults.push(Fault::new(
                "queue",
                message,
                "write the name as RabbitMQ lists it",
            ));
        }
        if self.warn > self.fail {
            let message = "it warns later than it fails";
            faults.push(Fault::new(
                "warn",
                message,
                "make `warn` smaller than `fail`",
            ));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        Arc::new(LogsIn {
            security: Security::new(self.url.scheme() == "amqps", self.ca.as_deref()),
            options: self.clone(),
            kept: Kept::default(),
        })
    }
}

struct LogsIn {
    options: RabbitMq,
    security: Security,
    kept: Kept<Connection>,
}

impl Check for LogsIn {
    fn kind(&self) -> &'static str {
        RabbitMq::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            let looked = self.look().await;
            looked.unwrap_or_else(|trouble| trouble.outcome(TONGUE))
        })
    }
}

impl LogsIn {
    async fn look(&self) -> Result<Outcome, Trouble> {
        if let Some(mut connection) = self.kept.take() {
            match self.ask(&mut connection).await {
                // It ended while nobody looked, which says nothing about now.
                Err(Trouble::Io(_)) => {}
                asked => return self.keep(connection, asked),
            }
        }
        let mut connection = Connection::open(&self.options.url, &self.security).await?;
        let asked = self.ask(&mut connection).await;
        self.keep(connection, asked)
    }

    fn keep(
        &self,
        connection: Connection,
        asked: Result<Outcome, Trouble>,
    ) -> Result<Outcome, Trouble> {
        let mut outcome = asked?;
        if let Some(version) = &connection.version {
            outcome = outcome.with("version", version.clone());
        }
        self.kept.put(connection);
        Ok(outcome)
    }

    async fn ask(&self, connection: &mut Connection) -> Result<Outcome, Trouble> {
        connection.open_channel().await?;
        let Some(queue) = &self.options.queue else {
            connection.close_channel().await?;
            return Ok(Outcome::healthy("it opens the virtual host"));
        };
        // Bit 0 is `passive`.
        let declare = Writer::method(50, 10).short(0).text(queue).octet(1).long(0);
        let declared = match connection.ask(declare, (50, 11)).await? {
            Reply::Done(declared) => declared,
            Reply::Closed(code) => return Ok(no_queue(queue, code)),
        };
        connection.close_channel().await?;
        let mut arguments = declared.arguments();
        arguments.text()?;
        Ok(self.judge(queue, arguments.long()?, arguments.long()?))
    }

    fn judge(&self, queue: &str, depth: u32, consumers: u32) -> Outcome {
        let RabbitMq { warn, fail, .. } = self.options;
        let outcome = if depth > fail {
            Outcome::unhealthy(format!(
                "{depth} messages wait in `{queue}`, the limit is {fail}"
            ))
        } else if depth > warn {
            Outcome::degraded(format!(
                "{depth} messages wait in `{queue}`, the limit is {warn}"
            ))
        } else {
            Outcome::healthy(format!("{depth} messages wait in `{queue}`"))
        };
        outcome
            .with("queue_depth", depth)
            .with("consumers", consumers)
    }
}

/// Why the server did not tell about the queue.
fn no_queue(queue: &str, code: u16) -> Outcome {
    Outcome::unhealthy(match code {
        404 => format!("there is no queue `{queue}` (404)"),
        403 => format!("the user may not look at the queue `{queue}` (403)"),
        405 => format!("the queue `{queue}` belongs to one connection alone (405)"),
        _ => format!("it does not tell about the queue `{queue}` ({code})"),
    })
}
