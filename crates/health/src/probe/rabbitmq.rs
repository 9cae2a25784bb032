//! Whether RabbitMQ lets a user in, and how much waits in a queue.
//!
//! It opens a channel and closes it, over a connection that stays; a queue is declared passively, which asks and never makes
//! one. It needs no management plugin, and therefore says nothing about nodes, alarms or memory.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Buf as _;
use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use super::amqp::wire::{self, Writer, fits};
use super::amqp::{Connection, Reply, Server};
use super::kept::{self, Question};
use super::limits::Ceiling;
use super::trouble::Trouble;
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome};

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
    /// How many messages may wait in `queue`.
    #[serde(flatten)]
    pub limits: Ceiling,
    /// A PEM file with the certificates to trust over TLS; the system's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// The schemes of its URLs.
pub(super) const SCHEMES: &[&str] = &["amqp", "amqps"];

/// What is wrong with the names in it beyond what is common to all.
pub(super) fn judge(url: &Dsn, queue: Option<&str>, faults: &mut Vec<Fault>) {
    if !fits(&url.name()) {
        let message = "a virtual host has at most 255 bytes";
        faults.push(Fault::new("url", message, "shorten the path of the URL"));
    }
    if queue.is_some_and(|queue| queue.is_empty() || !fits(queue)) {
        let message = "the name of a queue has 1 to 255 bytes";
        let help = "write the name as RabbitMQ lists it";
        faults.push(Fault::new("queue", message, help));
    }
}

impl Probe for RabbitMq {
    const KIND: &'static str = "rabbitmq";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, SCHEMES, around, faults);
        judge(&self.url, self.queue.as_deref(), faults);
        self.limits.faults(faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let server = Server::new(&self.url, self.ca.clone());
        let virtual_host = VirtualHost {
            queue: self.queue.clone(),
            limits: self.limits,
        };
        kept::check(Self::KIND, server, virtual_host)
    }
}

/// Opens the virtual host, and looks at a queue in it.
pub(super) struct VirtualHost {
    pub(super) queue: Option<String>,
    pub(super) limits: Ceiling,
}

impl Question<Server> for VirtualHost {
    async fn ask(&self, connection: &mut Connection) -> Result<Outcome, Trouble> {
        connection.open_channel().await?;
        let outcome = match &self.queue {
            Some(queue) => self.look_at(queue, connection).await?,
            None => {
                connection.close_channel().await?;
                Outcome::healthy("it opens the virtual host")
            }
        };
        Ok(outcome.with_some("version", connection.version.as_deref()))
    }
}

impl VirtualHost {
    async fn look_at(&self, queue: &str, connection: &mut Connection) -> Result<Outcome, Trouble> {
        // Bit 0 is `passive`.
        let declare = Writer::method(50, 10).short(0).text(queue).octet(1).long(0);
        let declared = match connection.ask(declare, (50, 11)).await? {
            Reply::Done(declared) => declared,
            Reply::Closed(code) => return Ok(no_queue(queue, code)),
        };
        connection.close_channel().await?;
        let mut arguments = declared.arguments.as_slice();
        wire::text(&mut arguments)?;
        let (depth, consumers) = (arguments.try_get_u32()?, arguments.try_get_u32()?);
        let message = format!("{depth} messages wait in `{queue}`");
        let outcome = self.limits.judge(depth.into(), message);
        Ok(outcome
            .with("queue_depth", depth)
            .with("consumers", consumers))
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
