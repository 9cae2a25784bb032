//! Background tasks that a shutdown can wait for.
//!
//! A task started with `tokio::spawn` is forgotten: nothing stops it, nothing waits for it, and the runtime tears it apart
//! wherever it happens to be. Tasks started here have a name and a [`CancellationToken`], so a shutdown can ask them all to
//! end, wait for that, and name those that did not.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use seaworthy_core::event::{Event, Level};
use seaworthy_core::names::event::TASKS_CANCELLED;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::journal::Journal;

/// Background tasks; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    token: CancellationToken,
    names: Arc<Mutex<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    next: u64,
    running: BTreeMap<u64, String>,
}

/// What a stop of the tasks came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Those that were running when the stop began.
    pub cancelled: Vec<String>,
    /// Those that had not ended when the time was over.
    pub orphans: Vec<String>,
}

/// Takes a task's name off the list when it ends, also by a panic.
struct Running {
    names: Arc<Mutex<Names>>,
    id: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.running.remove(&self.id);
    }
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// Starts a task. It should end soon after its token is cancelled.
    pub fn spawn<F, T>(&self, name: impl Into<String>, task: F) -> JoinHandle<T::Output>
    where
        F: FnOnce(CancellationToken) -> T,
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        let id = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let id = names.next;
            names.next += 1;
            names.running.insert(id, name.into());
            id
        };
        let running = Running {
            names: Arc::clone(&self.names),
            id,
        };
        let task = task(self.token.child_token());
        self.tracker.spawn(async move {
            let _running = running;
            task.await
        })
    }

    /// The token that all tasks' tokens are children of.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The names of those that have not ended.
    pub fn running(&self) -> Vec<String> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.running.values().cloned().collect()
    }

    /// Cancels all tasks and waits for their end, at most for `patience`. Those left over are named and left alone.
    pub async fn stop(&self, patience: Duration, journal: &Journal) -> Stopped {
        let cancelled = self.running();
        self.tracker.close();
        self.token.cancel();
        let in_time = tokio::time::timeout(patience, self.tracker.wait()).await;
        let orphans = match in_time {
            Ok(()) => Vec::new(),
            Err(_) => self.running(),
        };
        if !cancelled.is_empty() {
            let event = Event::new(
                TASKS_CANCELLED,
                format!(
                    "background tasks were told to stop: {}",
                    cancelled.join(", ")
                ),
            );
            journal.record(match orphans.as_slice() {
                [] => event.with_evidence("orphans: 0"),
                left => event
                    .with_level(Level::Warn)
                    .with_evidence(format!("orphans: {}", left.len()))
                    .with_next(format!(
                        "left behind: {}; they must end when their token is cancelled",
                        left.join(", ")
                    )),
            });
        }
        Stopped { cancelled, orphans }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::mpsc;

    /// Stands in for a message bus: a worker takes messages from it and must close it exactly once.
    struct Bus {
        messages: mpsc::Receiver<u32>,
        closed: Arc<AtomicU32>,
    }

    impl Bus {
        async fn work(mut self, token: CancellationToken) -> u32 {
            let mut sum = 0;
            loop {
                tokio::select! {
                    () = token.cancelled() => break,
                    Some(message) = self.messages.recv() => sum += message,
                }
            }
            self.closed.fetch_add(1, Ordering::SeqCst);
            sum
        }
    }

    #[tokio::test]
    async fn worker_cancellation() {
        let tasks = Tasks::new();
        let (send, messages) = mpsc::channel(1);
        let closed = Arc::new(AtomicU32::new(0));
        let bus = Bus {
            messages,
            closed: Arc::clone(&closed),
        };
        let worker = tasks.spawn("worker", |token| bus.work(token));
        for message in [1, 2, 3] {
            send.send(message).await.unwrap();
        }
        // The channel holds one message, so by now the first two have been taken.
        let stopped = tasks.stop(Duration::from_secs(1), &Journal::new()).await;
        assert_eq!(stopped.cancelled, ["worker"]);
        assert_eq!(stopped.orphans, Vec::<String>::new());
        assert!(worker.await.unwrap() >= 3);
        assert_eq!(closed.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn names_those_that_do_not_end() {
        let tasks = Tasks::new();
        let journal = Journal::new();
        tasks.spawn("deaf", |_| std::future::pending::<()>());
        tasks.spawn("good", |token| async move { token.cancelled().await });
        tasks.spawn("panics", |_| async { panic!("on purpose") });
        tokio::task::yield_now().await;
        assert_eq!(tasks.running(), ["deaf", "good"]);
        let stopped = tasks.stop(Duration::from_secs(5), &journal).await;
        assert_eq!(stopped.cancelled, ["deaf", "good"]);
        assert_eq!(stopped.orphans, ["deaf"]);
        let event = &journal.recent()[0].event;
        assert_eq!((event.name, event.level), (TASKS_CANCELLED, Level::Warn));
        assert!(event.to_string().contains("left behind: deaf"), "{event}");
    }

    #[tokio::test]
    async fn nothing_to_stop_is_not_worth_an_event() {
        let journal = Journal::new();
        Tasks::new().stop(Duration::ZERO, &journal).await;
        assert!(journal.recent().is_empty());
    }
}
