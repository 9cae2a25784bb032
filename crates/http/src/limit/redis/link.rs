//! One connection, kept: made before it is needed, given up at the first sign of trouble, made again beside the requests.
//!
//! No request waits for a connection. While there is none, whoever asks is told so at once and decides alone; a task tries again
//! until the server answers within the same budget that requests have. A server that answers too slowly for requests is not
//! taken for one that is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use seaworthy_core::names::event;
use tokio::sync::Notify;

use super::script;
use super::target::Target;

/// For a connection to be made and to log in, beside the requests.
const PATIENCE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Late answers in a row that make a server unreachable; one alone may be a hiccup.
const LATE: u32 = 2;

/// What all links of a store share.
#[derive(Debug)]
pub(super) struct Circumstances {
    pub(super) target: Target,
    pub(super) budget: Duration,
    pub(super) script: String,
    down: AtomicUsize,
    told: AtomicBool,
    on_change: OnChange,
}

/// Told when limits are counted here alone (`true`), and when they are shared again.
#[derive(Clone, Default)]
pub struct OnChange(pub Option<Arc<dyn Fn(bool) + Send + Sync>>);

impl std::fmt::Debug for OnChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnChange")
    }
}

impl Circumstances {
    pub(super) fn new(target: Target, budget: Duration, on_change: OnChange) -> Self {
        Self {
            target,
            budget,
            script: script::name(),
            down: AtomicUsize::new(0),
            told: AtomicBool::new(false),
            on_change,
        }
    }

    /// One more link is kept from now on, and has no connection yet.
    pub(super) fn expect_one(&self) {
        self.down.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a link that was asked for has no connection.
    pub(super) fn is_down(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    fn lost(&self, why: &str) {
        self.down.fetch_add(1, Ordering::AcqRel);
        self.tell_lost(why);
    }

    fn tell_lost(&self, why: &str) {
        if !self.told.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                event = event::LIMITS_FELL_BACK,
                redis = %format_args!("{}:{}", self.target.host, self.target.port),
                cause = why,
                "rate limits are counted by this instance alone, each at its share, because Redis {why}; they are shared again as soon as it answers"
            );
            if let Some(on_change) = &self.on_change.0 {
                on_change(true);
            }
        }
    }

    fn found(&self) {
        let left = self.down.fetch_sub(1, Ordering::AcqRel) - 1;
        if left == 0 && self.told.swap(false, Ordering::AcqRel) {
            tracing::info!(
                event = event::LIMITS_RECOVERED,
                "rate limits are shared again: Redis answers, and is told what was spent meanwhile"
            );
            if let Some(on_change) = &self.on_change.0 {
                on_change(false);
            }
        }
    }
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Link {
    connection: ArcSwapOption<MultiplexedConnection>,
    late: AtomicU32,
    /// Somebody keeps it.
    pub(super) kept: AtomicBool,
    lost: Notify,
    settled: Notify,
    tried: AtomicBool,
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            connection: ArcSwapOption::empty(),
            late: AtomicU32::new(0),
            kept: AtomicBool::new(false),
            lost: Notify::new(),
            settled: Notify::new(),
            tried: AtomicBool::new(false),
        }
    }

    /// The connection, if there is one.
    pub(super) fn connection(&self) -> Option<Arc<MultiplexedConnection>> {
        self.connection.load_full()
    }

    /// Notes that an answer came in time.
    pub(super) fn was_well(&self) {
        // Written only when that is news: the line is shared.
        if self.late.load(Ordering::Relaxed) != 0 {
            self.late.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that no answer came in time over `connection`.
    pub(super) fn was_late(&self, connection: &Arc<MultiplexedConnection>, around: &Circumstances) {
        if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE {
            self.give_up(connection, around, "does not answer in time");
        }
    }

    /// Notes that `connection` failed.
    pub(super) fn failed(
        &self,
        connection: &Arc<MultiplexedConnection>,
        around: &Circumstances,
        error: &RedisError,
    ) {
        let why = if error.is_connection_dropped() || error.is_io_error() {
            "has closed the connection"
        } else {
            "refuses to count"
        };
        self.give_up(connection, around, why);
    }

    fn give_up(&self, connection: &Arc<MultiplexedConnection>, around: &Circumstances, why: &str) {
        let current = self.connection.load();
        let is_current = current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, connection));
        if !is_current {
            return;
        }
        let before = self.connection.compare_and_swap(&*current, None);
        if before
            .as_ref()
            .is_some_and(|before| Arc::ptr_eq(before, connection))
        {
            around.lost(why);
            self.lost.notify_one();
        }
    }

    /// Waits until the first attempt to connect has ended, at most `patience`.
    pub(super) async fn settled(&self, patience: Duration) {
        let wait = async {
            loop {
                let settled = self.settled.notified();
                if self.tried.load(Ordering::Acquire) {
                    return;
                }
                settled.await;
            }
        };
        tokio::time::timeout(patience, wait).await.ok();
    }

    /// Keeps the connection for ever.
    pub(super) async fn keep(self: Arc<Self>, around: Arc<Circumstances>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = tokio::time::timeout(PATIENCE, open(&around)).await;
            match opened {
                Ok(Ok(connection)) => {
                    let since = Instant::now();
                    self.late.store(0, Ordering::Relaxed);
                    self.connection.store(Some(Arc::new(connection)));
                    around.found();
                    self.tried();
                    self.lost.notified().await;
                    if since.elapsed() > LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                }
                Ok(Err(error)) => around.tell_lost(&why(&error)),
                Err(_) => around.tell_lost("does not answer"),
            }
            self.tried();
            tokio::time::sleep(pause + pause.mul_f64(fastrand::f64() / 4.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn tried(&self) {
        self.tried.store(true, Ordering::Release);
        self.settled.notify_waiters();
    }
}

/// Connects, teaches the script, and sees that an answer comes within the budget of a request.
async fn open(around: &Circumstances) -> RedisResult<MultiplexedConnection> {
    let mut connection = around.target.connect().await?;
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg(script::TEXT);
    let name: String = load.query_async(&mut connection).await?;
    if name != around.script {
        return Err(too_slow("it knows the script by another name"));
    }
    let ping = redis::cmd("PING");
    let pong = ping.query_async::<()>(&mut connection);
    match tokio::time::timeout(around.budget, pong).await {
        Ok(pong) => pong.map(|()| connection),
        Err(_) => Err(too_slow("it answers too late")),
    }
}

fn too_slow(why: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::UnexpectedReturnType, why))
}

/// Why there is no connection, without anything that the other side said.
fn why(error: &RedisError) -> String {
    match error.code() {
        Some(code) if code.len() <= 20 && code.bytes().all(|b| b.is_ascii_uppercase()) => {
            format!("refuses to be asked ({code})")
        }
        _ if error.is_io_error() => "cannot be reached".to_owned(),
        _ => "does not answer as it should".to_owned(),
    }
}
