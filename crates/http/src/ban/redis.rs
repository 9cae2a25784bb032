//! Bans that instances share over a Redis: one hash, one script, one connection.
//!
//! Nobody waits for it but a task of its own, so its pace says how soon a ban holds everywhere. The server's clock counts, and
//! what is exchanged are times that are left, so machines need not agree on the time of day. The key has a time to live, that of
//! its longest ban and a minute, and works on a cluster.

use std::time::Duration;

use redis::RedisError;
use redis::aio::MultiplexedConnection;
use seaworthy_core::ban::{Heard, News, Target as Banned};
use seaworthy_core::clock::{Clock, Moment};

use crate::limit::redis::Target;

const SCRIPT: &str = include_str!("share.lua");
/// Addresses that are kept there.
const MOST: usize = 10_000;
/// For a connection to be made, and for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the script answers: epoch, version, whether it was full, and the bans with their milliseconds, where there is news.
type Answer = (String, u64, u8, Option<Vec<String>>);

/// The hash on the server, and the connection to it.
#[derive(Debug)]
pub struct Shared {
    target: Target,
    key: String,
    clock: Clock,
    connection: Option<MultiplexedConnection>,
}

/// Why the server could not be asked, without anything that it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody answers in time.
    #[error("does not answer in time")]
    Late,
    /// There is no connection to be had, or it ended.
    #[error("cannot be reached")]
    Unreachable,
    /// It answers something else.
    #[error("refuses to share them")]
    Refused,
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        if error.is_io_error() || error.is_connection_dropped() {
            Self::Unreachable
        } else {
            Self::Refused
        }
    }
}

impl Shared {
    /// The hash `key` of the server at `target`. Nothing is connected yet.
    pub fn new(target: Target, key: String, clock: Clock) -> Self {
        Self {
            target,
            key,
            clock,
            connection: None,
        }
    }

    /// Tells `news`, and reads what there is unless it is what is `seen` already. The flag is `true` when there was no room for
    /// all of it.
    ///
    /// # Errors
    /// The connection is given up then, and the next call makes another one.
    pub async fn exchange(
        &mut self,
        seen: (&str, u64),
        news: &News,
        now: Moment,
    ) -> Result<(Heard, bool), Failure> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(seen, news, now)).await;
        let answer = asked.unwrap_or(Err(Failure::Late));
        if answer.is_err() {
            self.connection = None;
        }
        let (epoch, version, full, bans) = answer?;
        let bans = bans.map(|bans| self.read(&bans, now));
        let epoch = (!epoch.is_empty()).then_some(epoch);
        let heard = Heard {
            epoch,
            version,
            bans,
        };
        Ok((heard, full > 0))
    }

    async fn ask(
        &mut self,
        (epoch, version): (&str, u64),
        news: &News,
        now: Moment,
    ) -> Result<Answer, Failure> {
        let mut command = redis::cmd("EVAL");
        command.arg(SCRIPT).arg(1).arg(&self.key);
        command.arg(epoch).arg(version).arg(MOST);
        command.arg(news.set.len());
        for (target, until) in &news.set {
            let left = self.clock.real(until.since(now));
            let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            // A number that a script can count with exactly.
            command.arg(target.to_string()).arg(left.min(1 << 50));
        }
        for target in &news.lifted {
            command.arg(target.to_string());
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.target.connect().await?),
        };
        Ok(command.query_async(connection).await?)
    }

    /// Pairs of who, and for how many milliseconds yet. What nobody could be banned by is left out.
    fn read(&self, bans: &[String], now: Moment) -> Vec<(Banned, Moment)> {
        let pairs = bans.chunks_exact(2).filter_map(|pair| {
            let target: Banned = pair[0].parse().ok()?;
            let left = Duration::from_millis(pair[1].parse().ok()?);
            Some((target, now.after(left.saturating_mul(self.clock.scale()))))
        });
        pairs.collect()
    }
}
