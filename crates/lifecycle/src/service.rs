//! Starting and stopping a service that is written in Rust.
//!
//! [`Lifecycle`] keeps two lists: what to do before the service serves, in order, and what to do when it stops, in reverse.
//! A handler that fails, hangs or panics when the service stops is reported and the next one's turn comes; when the service
//! starts, it ends the start. Stopping is idempotent: whoever asks second waits for the first.
//!
//! ```
//! # use seaworthy_lifecycle::service::Lifecycle;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let life = Lifecycle::new();
//! life.on_startup("database", async || Ok::<_, std::io::Error>(()));
//! life.on_shutdown("database", async || Ok::<_, std::io::Error>(()));
//! life.on_shutdown_blocking("cache", || std::fs::create_dir_all("/tmp"));
//! life.tasks().spawn("janitor", |token| async move { token.cancelled().await });
//! life.start().await.expect("it starts");
//! let report = life.shutdown("the end of the example").await;
//! assert!(report.handlers.iter().all(|handler| handler.error.is_none()));
//! # }
//! ```
//!
//! It has no requests to drain; a server drains them before it calls [`Lifecycle::shutdown`].

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use seaworthy_core::event::{Event, Level};
use seaworthy_core::lifecycle::Phase;
use seaworthy_core::names::event as name;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::journal::Journal;
use crate::signals::{Meaning, Signals};
use crate::tasks::{Stopped, Tasks};

type Work = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

struct Handler {
    name: String,
    work: Box<dyn FnOnce() -> Work + Send>,
}

/// What became of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// What it is called.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// What a stop came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The handlers in the order they ran.
    pub handlers: Vec<Handled>,
    /// The background tasks.
    pub tasks: Stopped,
    /// How long it took.
    pub duration: Duration,
}

/// A handler ended the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the service cannot start: {name} failed: {why}")]
pub struct NotStarted {
    /// The handler.
    pub name: String,
    /// What it said.
    pub why: String,
}

/// The life of a service; clones are the same life.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    startup: Mutex<Vec<Handler>>,
    shutdown: Mutex<Vec<Handler>>,
    patience: Duration,
    tasks: Tasks,
    journal: Journal,
    phase: AtomicU8,
    stopping: AtomicBool,
    report: watch::Sender<Option<Report>>,
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycle")
            .field("phase", &self.phase())
            .finish_non_exhaustive()
    }
}

impl Default for Lifecycle {
    fn default() -> Lifecycle {
        Lifecycle::new()
    }
}

impl Lifecycle {
    /// A service that has not started; each handler may take 5 s when it stops.
    pub fn new() -> Lifecycle {
        Lifecycle::with_patience(Duration::from_secs(5))
    }

    /// The same with another time for each handler, and for all background tasks together.
    pub fn with_patience(patience: Duration) -> Lifecycle {
        Lifecycle(Arc::new(Inner {
            startup: Mutex::default(),
            shutdown: Mutex::default(),
            patience,
            tasks: Tasks::new(),
            journal: Journal::new(),
            phase: AtomicU8::new(Phase::Starting as u8),
            stopping: AtomicBool::new(false),
            report: watch::Sender::new(None),
        }))
    }

    /// Has this done before the service serves, after what was registered before.
    pub fn on_startup<F, T, E>(&self, name: impl Into<String>, handler: F)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + 'static,
    {
        add(&self.0.startup, name, handler);
    }

    /// The same for work that blocks its thread.
    pub fn on_startup_blocking<F, E>(&self, name: impl Into<String>, handler: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
        E: Display + 'static,
    {
        add(&self.0.startup, name, || blocking(handler));
    }

    /// Has this done when the service stops, before what was registered before.
    pub fn on_shutdown<F, T, E>(&self, name: impl Into<String>, handler: F)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + 'static,
    {
        add(&self.0.shutdown, name, handler);
    }

    /// The same for work that blocks its thread; it cannot be broken off when its time is over, only left behind.
    pub fn on_shutdown_blocking<F, E>(&self, name: impl Into<String>, handler: F)
    where
        F: FnOnce() -> Result<(), E> + Send + 'static,
        E: Display + 'static,
    {
        add(&self.0.shutdown, name, || blocking(handler));
    }

    /// Background tasks that the stop waits for.
    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// What has happened.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// Where the service is in its life.
    pub fn phase(&self) -> Phase {
        Phase::from_number(self.0.phase.load(Ordering::Acquire)).unwrap_or(Phase::Stopped)
    }

    /// Runs the handlers for the start.
    ///
    /// # Errors
    /// When one fails; those after it are not run then. Stop the service all the same, to undo what the others did.
    pub async fn start(&self) -> Result<(), NotStarted> {
        for handler in take(&self.0.startup) {
            let name = handler.name;
            if let Err(why) = isolated((handler.work)()).await {
                return Err(NotStarted { name, why });
            }
        }
        self.0.enter(Phase::Running);
        Ok(())
    }

    /// Stops the service when TERM or INT arrives; call it before anything slow.
    ///
    /// # Errors
    /// When the handlers for the signals cannot be installed.
    pub fn shutdown_on_signals(&self) -> io::Result<()> {
        let mut signals = Signals::install()?;
        let life = self.clone();
        tokio::spawn(async move {
            loop {
                if let Meaning::Stop(name) = signals.next().await {
                    life.begin(name.to_string());
                }
            }
        });
        Ok(())
    }

    /// Stops the service: background tasks first, then the handlers, the last registered first. Whoever calls it again gets
    /// the same report. It goes on even if the caller does not wait for it.
    pub async fn shutdown(&self, by: impl Into<String>) -> Report {
        self.begin(by.into());
        self.wait().await
    }

    /// Waits until the service has stopped, without stopping it.
    pub async fn wait(&self) -> Report {
        let mut report = self.0.report.subscribe();
        loop {
            if let Some(report) = report.borrow_and_update().clone() {
                return report;
            }
            // The sender lives as long as `self`.
            match report.changed().await {
                Ok(()) | Err(_) => {}
            }
        }
    }

    fn begin(&self, by: String) {
        if !self.0.stopping.swap(true, Ordering::AcqRel) {
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move { inner.stop(&by).await });
        }
    }
}

impl Inner {
    fn enter(&self, phase: Phase) {
        // Only forward: a start that ends late must not undo a stop.
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    async fn stop(&self, by: &str) {
        let begun = Instant::now();
        tracing::info!(
            event = name::SHUTDOWN_SIGNAL,
            by,
            "Shutting down gracefully..."
        );
        self.journal.keep(Event::new(
            name::SHUTDOWN_SIGNAL,
            format!("{by} asked for a stop"),
        ));
        self.enter(Phase::Draining);
        let tasks = self.tasks.stop(self.patience, &self.journal).await;
        self.enter(Phase::Hooks);
        let mut handlers = Vec::new();
        for handler in take(&self.shutdown).into_iter().rev() {
            let handled = self.handle(handler).await;
            self.tell(&handled);
            handlers.push(handled);
        }
        let report = Report {
            handlers,
            tasks,
            duration: begun.elapsed(),
        };
        self.enter(Phase::Stopped);
        let failed = report
            .handlers
            .iter()
            .filter(|handled| handled.error.is_some())
            .count();
        let complete = Event::new(name::SHUTDOWN_COMPLETE, "the shutdown is complete")
            .with_evidence(format!(
                "{} ms, {} handlers, {failed} failed",
                report.duration.as_millis(),
                report.handlers.len()
            ));
        self.journal.record(complete);
        self.report.send_replace(Some(report));
    }

    async fn handle(&self, handler: Handler) -> Handled {
        let begun = Instant::now();
        let result = timeout(self.patience, isolated((handler.work)())).await;
        let error = match result {
            Ok(result) => result.err(),
            Err(_) => Some(format!(
                "it was not done after {} ms",
                self.patience.as_millis()
            )),
        };
        Handled {
            name: handler.name,
            took: begun.elapsed(),
            error,
        }
    }

    fn tell(&self, handled: &Handled) {
        let Handled { name, took, error } = handled;
        self.journal.record(match error {
            None => Event::new(name::SHUTDOWN_HOOK, format!("the handler {name} is done"))
                .with_evidence(format!("{} ms", took.as_millis())),
            Some(why) => Event::new(name::SHUTDOWN_HOOK, format!("the handler {name} failed"))
                .with_level(Level::Error)
                .with_evidence(why)
                .with_next("the shutdown goes on"),
        });
    }
}

fn add<F, T, E>(list: &Mutex<Vec<Handler>>, name: impl Into<String>, handler: F)
where
    F: FnOnce() -> T + Send + 'static,
    T: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + 'static,
{
    let work = Box::new(move || {
        Box::pin(async move { handler().await.map_err(|error| error.to_string()) }) as Work
    });
    list.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Handler {
            name: name.into(),
            work,
        });
}

fn take(list: &Mutex<Vec<Handler>>) -> Vec<Handler> {
    std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs work that blocks on a thread for that.
async fn blocking<F, E>(handler: F) -> Result<(), String>
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
    E: Display + 'static,
{
    tokio::task::spawn_blocking(|| handler().map_err(|error| error.to_string()))
        .await
        .unwrap_or_else(|error| Err(broken(&error)))
}

/// Runs work in a task of its own, where a panic ends nothing but the work; it is broken off when nobody waits any more.
async fn isolated(work: Work) -> Result<(), String> {
    let mut task = tokio::task::JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(broken(&error)),
        None => Ok(()),
    }
}

fn broken(error: &tokio::task::JoinError) -> String {
    if error.is_panic() {
        "it panicked".to_owned()
    } else {
        "it was broken off".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn note(
        log: &Log,
        word: &'static str,
    ) -> impl FnOnce() -> std::future::Ready<Result<(), String>> + use<> {
        let log = Arc::clone(log);
        move || {
            log.lock().unwrap().push(word);
            std::future::ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn starts_in_order_and_stops_in_reverse() {
        let log = Log::default();
        let life = Lifecycle::new();
        life.on_startup("a", note(&log, "a"));
        let blocked = Arc::clone(&log);
        life.on_startup_blocking("b", move || {
            blocked.lock().unwrap().push("b");
            Ok::<_, String>(())
        });
        for word in ["x", "y", "z"] {
            life.on_shutdown(word, note(&log, word));
        }
        assert_eq!(life.phase(), Phase::Starting);
        life.start().await.unwrap();
        assert_eq!(life.phase(), Phase::Running);
        life.shutdown("test").await;
        assert_eq!(*log.lock().unwrap(), ["a", "b", "z", "y", "x"]);
        assert_eq!(life.phase(), Phase::Stopped);
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_handler_does_not_stop_the_others() {
        let log = Log::default();
        let life = Lifecycle::with_patience(Duration::from_secs(2));
        life.on_shutdown("first", note(&log, "first"));
        life.on_shutdown("fails", async || Err("no"));
        life.on_shutdown("panics", async || -> Result<(), String> {
            panic!("on purpose")
        });
        life.on_shutdown_blocking("panics too", || -> Result<(), String> {
            panic!("on purpose")
        });
        life.on_shutdown("hangs", std::future::pending::<Result<(), String>>);
        life.on_shutdown("last", note(&log, "last"));
        let report = life.shutdown("test").await;
        let errors: Vec<_> = report
            .handlers
            .iter()
            .map(|handled| handled.error.as_deref())
            .collect();
        assert_eq!(
            errors,
            [
                None,
                Some("it was not done after 2000 ms"),
                Some("it panicked"),
                Some("it panicked"),
                Some("no"),
                None
            ]
        );
        assert_eq!(*log.lock().unwrap(), ["last", "first"]);
    }

    #[tokio::test]
    async fn whoever_asks_again_gets_the_same_report() {
        let log = Log::default();
        let life = Lifecycle::new();
        life.on_shutdown("once", note(&log, "once"));
        let waiting = tokio::spawn({
            let life = life.clone();
            async move { life.wait().await }
        });
        let (one, two) = tokio::join!(life.shutdown("one"), life.shutdown("two"));
        assert_eq!(one, two);
        assert_eq!(waiting.await.unwrap(), one);
        assert_eq!(life.shutdown("three").await, one);
        assert_eq!(*log.lock().unwrap(), ["once"]);
        assert_eq!(
            life.journal().recent()[0].event.cause,
            "one asked for a stop"
        );
    }

    #[tokio::test]
    async fn a_failed_start_names_the_handler() {
        let log = Log::default();
        let life = Lifecycle::new();
        life.on_startup("database", async || Err("connection refused"));
        life.on_startup("late", note(&log, "late"));
        let error = life.start().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the service cannot start: database failed: connection refused"
        );
        assert!(log.lock().unwrap().is_empty());
        assert_eq!(life.phase(), Phase::Starting);
    }

    #[tokio::test]
    async fn tasks_end_before_what_they_use() {
        let log = Log::default();
        let life = Lifecycle::new();
        life.on_shutdown("pool", note(&log, "pool"));
        let task_log = Arc::clone(&log);
        life.tasks().spawn("consumer", |token| async move {
            token.cancelled().await;
            task_log.lock().unwrap().push("consumer");
        });
        let report = life.shutdown("test").await;
        assert_eq!(*log.lock().unwrap(), ["consumer", "pool"]);
        assert_eq!(report.tasks.cancelled, ["consumer"]);
    }
}
