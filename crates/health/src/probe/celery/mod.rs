//! Whether Celery's workers answer, and how many.
//!
//! It asks as `celery inspect ping` does: one message to all workers through the broker, one reply from each. No crate speaks
//! this protocol (kombu's pidbox), so it is spoken here, over a connection of our own: a few commands of Redis, or a channel
//! of AMQP. What was looked at is kombu 5.7; the messages are the same since 4.0.
//!
//! **No answer is unknown, not down.** A worker of the solo pool that is busy with a task does not answer, and neither does one whose
//! broker connection is being restored.
//!
//! **When it ends.** A reply says nothing about how many are still to come. So a run ends when as many workers answered as the
//! last time, and every [`THOROUGH`]th run waits to the end, or a new worker would never be seen. Redis tells how many heard the
//! question: when all of them answered, nobody is waited for, and when they are others than before, it is waited to the end.
//!
//! **It leaves nothing behind.** On AMQP the queue for replies is exclusive and goes with its channel or connection, and the
//! default exchange brings them there, so that no exchange is made. On Redis see [`redis`].
//!
//! Workers whose `accept_content` lacks `json` do not understand the question. Sentinel, SQS and other transports are not spoken.

mod amqp;
mod control;
mod redis;
mod resp;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use seaworthy_core::quantity::Duration;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Address, Around, Fault, Probe, kept};
use crate::{Check, Outcome};
use control::Answers;

/// Every run of this number waits to its end.
const THOROUGH: usize = 10;

/// The longest window for replies that makes sense.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(60);

/// Asks all workers of a Celery app to answer, over the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Celery {
    /// The app's broker, as in `CELERY_BROKER_URL`: `redis`, `rediss`, `amqp` or `amqps`.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub broker: Dsn,
    /// So many workers must answer.
    #[serde(default = "min_workers")]
    pub min_workers: u32,
    /// How long to wait for replies, within the timeout of the check; it ends earlier when as many workers answered as the
    /// last time.
    #[serde(default = "wait")]
    pub wait: Duration,
    /// What the app puts before its keys in Redis, as in its `broker_transport_options`; nothing by default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub global_keyprefix: String,
    /// The app's `control_exchange`, `celery` by default.
    #[serde(default = "control_exchange")]
    pub control_exchange: String,
    /// A PEM file with the certificates to trust over TLS; the system's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

fn min_workers() -> u32 {
    1
}

fn wait() -> Duration {
    Duration::from(std::time::Duration::from_secs(1))
}

fn control_exchange() -> String {
    "celery".to_owned()
}

impl Celery {
    fn speaks_redis(&self) -> bool {
        matches!(self.broker.scheme(), "redis" | "rediss")
    }
}

impl Probe for Celery {
    const KIND: &'static str = "celery";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("broker", &mut self.broker))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        let schemes = ["redis", "rediss", "amqp", "amqps", "pyamqp"];
        super::judge_url("broker", &self.broker, &schemes, around, faults);
        let name = self.broker.name();
        if self.speaks_redis() && !name.is_empty() && name.parse::<u16>().is_err() {
            let message = "the path of a Redis URL is the number of a database";
            faults.push(Fault::new(
                "broker",
                message,
                "write it as `redis://cache:6379/0`",
            ));
        }
        let wait = self.wait.get();
        if wait.is_zero() || wait > LONGEST {
            let message = "nobody can answer in no time, and nobody waits for more than a minute";
            faults.push(Fault::new(
                "wait",
                message,
                "write `1s`, within the check's `timeout`",
            ));
        }
        for (option, text) in [
            ("control_exchange", &self.control_exchange),
            ("global_keyprefix", &self.global_keyprefix),
        ] {
            if text.len() > 200 {
                faults.push(Fault::new(
                    option,
                    "it is longer than 200 bytes",
                    "write it as the app has it",
                ));
            }
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let ping = Ping {
            options: self.clone(),
            unclean: Mutex::default(),
            runs: AtomicUsize::new(0),
            last: AtomicUsize::new(0),
            heard: AtomicUsize::new(0),
        };
        let (broker, ca) = (&self.broker, self.ca.clone());
        if self.speaks_redis() {
            kept::check(Self::KIND, resp::Server::new(broker, ca), ping)
        } else {
            kept::check(Self::KIND, super::amqp::Server::new(broker, ca), ping)
        }
    }
}

/// The question to all workers, over whichever broker.
struct Ping {
    options: Celery,
    /// The addresses for replies of the last run, and of runs that were cut short before it.
    unclean: Mutex<Vec<String>>,
    runs: AtomicUsize,
    /// How many answered the last time.
    last: AtomicUsize,
    /// How many heard the last question, where the broker tells.
    heard: AtomicUsize,
}

/// When a run has heard enough.
#[derive(Clone, Copy, Debug)]
struct Enough {
    until: Instant,
    /// So many answers end it early.
    count: usize,
}

impl Ping {
    fn unclean(&self) -> MutexGuard<'_, Vec<String>> {
        self.unclean.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enough(&self) -> Enough {
        let thorough = self
            .runs
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(THOROUGH);
        let wanted = usize::try_from(self.options.min_workers).unwrap_or(usize::MAX);
        let count = self.last.load(Ordering::Relaxed).max(wanted).max(1);
        Enough {
            until: Instant::now() + self.options.wait.get(),
            count: if thorough { usize::MAX } else { count },
        }
    }

    fn judge(&self, answers: &Answers) -> Outcome {
        let count = answers.count;
        self.last.store(count, Ordering::Relaxed);
        let wanted = usize::try_from(self.options.min_workers).unwrap_or(usize::MAX);
        let workers = match count {
            1 => "1 worker".to_owned(),
            more => format!("{more} workers"),
        };
        let outcome = if count == 0 {
            let wait = self.options.wait.get().as_secs_f64();
            Outcome::unknown(format!("no worker answered within {wait}s"))
        } else if count < wanted {
            Outcome::unhealthy(format!("{workers}, at least {wanted} are wanted"))
        } else {
            Outcome::healthy(workers)
        };
        let names: Vec<String> = answers.names.iter().cloned().collect();
        outcome.with("workers", count).with("names", names)
    }
}
