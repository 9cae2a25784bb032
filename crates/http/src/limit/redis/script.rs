//! The one script, and what goes in and comes out.

use std::time::Duration;

use aws_lc_rs::digest;
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use seaworthy_core::quota::{Quota, Refill, Standing};

use crate::limit::leases::Reply;
use crate::reveal::hex;

/// Takes tokens from a bucket. Everything is decided in here, by the server's clock, so that replicas whose clocks differ agree.
pub(super) const TEXT: &str = include_str!("take.lua");

/// What is asked of a bucket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Question {
    /// Tokens that are needed; fewer than none are put back.
    pub(super) need: i64,
    /// Tokens that are taken when there are so many.
    pub(super) want: i64,
    /// Tokens that were spent without asking.
    pub(super) owed: u64,
    /// Tokens that this process knows to be missing, should the server have forgotten the bucket.
    pub(super) lost: u64,
}

/// The script's name on servers.
pub(super) fn name() -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, TEXT.as_bytes()).as_ref())
}

/// The command that asks. `script` is the script's name, or `None` to send the whole.
pub(super) fn command(script: Option<&str>, key: &str, quota: &Quota, question: Question) -> Cmd {
    let mut command = match script {
        Some(name) => {
            let mut command = redis::cmd("EVALSHA");
            command.arg(name);
            command
        }
        None => {
            let mut command = redis::cmd("EVAL");
            command.arg(TEXT);
            command
        }
    };
    let (mode, period) = match quota.refill() {
        Refill::Continuous => ("continuous", 1e6 / quota.per_second()),
        Refill::Interval(per) => ("interval", per.as_secs_f64() * 1e6),
        Refill::Never => ("never", 0.0),
    };
    command.arg(1).arg(key).arg(quota.capacity()).arg(mode);
    command.arg(period).arg(question.need).arg(question.want);
    command.arg(question.owed).arg(question.lost);
    command
}

/// Sends a question, and the script with it if the server does not know it yet.
pub(super) async fn ask(
    connection: &mut impl ConnectionLike,
    name: &str,
    key: &str,
    quota: &Quota,
    question: Question,
) -> RedisResult<Reply> {
    let short = command(Some(name), key, quota, question);
    let answer: RedisResult<(i64, i64, i64, i64)> = short.query_async(connection).await;
    let answer = match answer {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            command(None, key, quota, question)
                .query_async(connection)
                .await?
        }
        answer => answer?,
    };
    Ok(read(answer))
}

fn read((given, remaining, full_in, retry_after): (i64, i64, i64, i64)) -> Reply {
    let time = |micros: i64| u64::try_from(micros).ok().map(Duration::from_micros);
    let count = |tokens: i64| u64::try_from(tokens).unwrap_or(0);
    Reply {
        given: count(given),
        standing: Standing {
            remaining: count(remaining),
            full_in: time(full_in).unwrap_or(Duration::MAX),
        },
        retry_after: time(retry_after),
    }
}

/// Whether it is the connection that failed, and not the question.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_connection_dropped()
        || error.is_io_error()
        || error.is_timeout()
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::ClusterDown
            )
        )
}
