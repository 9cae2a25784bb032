//! How much waits in a queue, whatever it is in.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use super::kept;
#[cfg(feature = "redis")]
use super::kept::Question;
use super::limits::Ceiling;
use super::rabbitmq::{self, VirtualHost};
#[cfg(feature = "redis")]
use super::trouble::Trouble;
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome};

#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "redis")]
use super::redis::session as redis_session;

/// Asks how much waits in a queue: a list, stream, sorted set or set in Redis, a queue of RabbitMQ, or what a query on Postgres
/// counts. Shows `queue_depth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// Where the queue is: `redis://…`, `amqp://…` or `postgres://…`, as in the kinds `redis`, `rabbitmq` and `postgres`.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// The key of the queue in Redis, where one that is not there is empty, or its name in RabbitMQ, where it has to exist. Of a stream all entries count, also those that were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The query on Postgres that counts, such as `SELECT count(*) FROM jobs WHERE done_at IS NULL`. It can only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// How much may wait.
    #[serde(flatten)]
    pub limits: Ceiling,
    /// A file with the certificates (PEM) that are trusted for TLS. By default those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

impl Probe for Queue {
    const KIND: &'static str = "queue";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        let schemes: Vec<&str> = all_schemes().collect();
        super::judge_url("url", &self.url, &schemes, around, faults);
        self.limits.faults(faults);
        if rabbitmq::SCHEMES.contains(&self.url.scheme()) {
            let has = self.queue.as_ref().is_some_and(|queue| !queue.is_empty());
            self.judge_only(has && self.query.is_none(), "queue", faults);
            rabbitmq::judge(&self.url, self.queue.as_deref(), faults);
        }
        #[cfg(feature = "redis")]
        if redis_session::SCHEMES.contains(&self.url.scheme()) {
            redis_session::judge_database("url", &self.url, faults);
            let has = self.queue.as_ref().is_some_and(|queue| !queue.is_empty());
            self.judge_only(has && self.query.is_none(), "queue", faults);
        }
        #[cfg(feature = "postgres")]
        if postgres::session::SCHEMES.contains(&self.url.scheme()) {
            postgres::session::judge(&self.url, faults);
            self.judge_only(
                self.query.is_some() && self.queue.is_none(),
                "query",
                faults,
            );
            if let Some(query) = &self.query {
                super::sql::judge_query(query, faults);
            }
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        if rabbitmq::SCHEMES.contains(&self.url.scheme()) {
            let server = super::amqp::Server::new(&self.url, self.ca.clone());
            let virtual_host = VirtualHost {
                queue: self.queue.clone(),
                limits: self.limits,
            };
            return kept::check(Self::KIND, server, virtual_host);
        }
        #[cfg(feature = "postgres")]
        if postgres::session::SCHEMES.contains(&self.url.scheme()) {
            let server = postgres::session::Server::new(&self.url, self.ca.clone());
            let limits = self.limits;
            let count = postgres::Count {
                query: self.query.clone().unwrap_or_default(),
                judge: Box::new(move |count| judge(limits, count)),
            };
            return kept::check(Self::KIND, server, count);
        }
        #[cfg(feature = "redis")]
        return kept::check(
            Self::KIND,
            redis_session::Server::new(&self.url, self.ca.clone()),
            Depth {
                key: self.queue.clone().unwrap_or_default(),
                limits: self.limits,
            },
        );
        #[cfg(not(feature = "redis"))]
        Arc::new(crate::from_fn(async || {
            Outcome::unknown("there is no driver for it")
        }))
    }
}

fn all_schemes() -> impl Iterator<Item = &'static str> {
    let all: &[&[&'static str]] = &[
        rabbitmq::SCHEMES,
        #[cfg(feature = "redis")]
        redis_session::SCHEMES,
        #[cfg(feature = "postgres")]
        postgres::session::SCHEMES,
    ];
    all.concat().into_iter()
}

impl Queue {
    fn judge_only(&self, is_alone: bool, option: &'static str, faults: &mut Vec<Fault>) {
        if !is_alone {
            let message = format!("`{}://…` takes the option `{option}`", self.url.scheme());
            let help =
                "name it with `queue` for Redis and RabbitMQ, the query with `query` for Postgres";
            faults.push(Fault::new(option, message, help));
        }
    }
}

fn judge(limits: Ceiling, depth: u64) -> Outcome {
    let outcome = limits.judge(depth, format!("{depth} waiting"));
    outcome.with("queue_depth", depth)
}

/// How much is under a key of Redis.
#[cfg(feature = "redis")]
struct Depth {
    key: String,
    limits: Ceiling,
}

#[cfg(feature = "redis")]
impl Question<redis_session::Server> for Depth {
    async fn ask(&self, session: &mut redis_session::Session) -> Result<Outcome, Trouble> {
        let kind: String = session.ask(redis::cmd("TYPE").arg(&self.key)).await?;
        let count = match kind.as_str() {
            "list" => "LLEN",
            "stream" => "XLEN",
            "zset" => "ZCARD",
            "set" => "SCARD",
            "none" => return Ok(judge(self.limits, 0)),
            _ => return Err(Trouble::says("what is under the key is no queue")),
        };
        let depth = session.ask(redis::cmd(count).arg(&self.key)).await?;
        Ok(judge(self.limits, depth))
    }
}
