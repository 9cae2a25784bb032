//! An origin that records every byte it receives and answers by script.
//!
//! What must never reach the app is shown by its absence here, so the recorder knows nothing of HTTP: it keeps raw bytes
//! per connection. A [`Script`] is a list of [`Step`]s for each connection; it can be as rude as a server can be.

mod connection;
mod message;
mod script;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::wait;
use connection::Socket;
pub(crate) use message::length as message_length;
pub use script::{Gate, Script, Step, chunked, ok};

/// What one connection sent, and whether it has ended its sending side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Every byte, in order.
    pub bytes: Vec<u8>,
    /// FIN or RST has come.
    pub ended: bool,
}

impl Record {
    /// The bytes as text, for assertions.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The complete requests among the bytes, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let mut rest = self.bytes.as_slice();
        let mut found = Vec::new();
        while let Some(length) = message::length(rest) {
            let (request, after) = rest.split_at(length);
            found.push(String::from_utf8_lossy(request).into_owned());
            rest = after;
        }
        found
    }
}

/// The records of all connections, shared with their tasks.
#[derive(Debug, Default)]
struct Log {
    records: Mutex<Vec<Record>>,
    changed: tokio::sync::Notify,
}

impl Log {
    fn with<T>(&self, act: impl FnOnce(&mut Vec<Record>) -> T) -> T {
        act(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, index: usize, act: impl FnOnce(&mut Record)) {
        self.with(|records| act(&mut records[index]));
        self.changed.notify_waiters();
    }
}

/// A listening origin; it stops when dropped.
#[derive(Debug)]
pub struct Origin {
    address: Address,
    log: Arc<Log>,
    task: JoinHandle<()>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> std::io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

impl Origin {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn tcp(script: Script) -> crate::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = Address::Tcp(listener.local_addr()?);
        Ok(Self::start(address, Listener::Tcp(listener), script))
    }

    /// Listens on a unix socket at `path`.
    ///
    /// # Errors
    /// When the path cannot be bound.
    pub fn unix(path: &Path, script: Script) -> crate::Result<Self> {
        let listener =
            UnixListener::bind(path).with_context(|| format!("binding {}", path.display()))?;
        let address = Address::Unix(PathBuf::from(path));
        Ok(Self::start(address, Listener::Unix(listener), script))
    }

    fn start(address: Address, listener: Listener, script: Script) -> Self {
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let task = tokio::spawn(async move {
            let next = AtomicUsize::new(0);
            // Owned here, so that dropping the origin ends its connections with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok(stream) = listener.accept().await {
                let index = next.fetch_add(1, Ordering::Relaxed);
                shared.with(|records| records.push(Record::default()));
                shared.changed.notify_waiters();
                let steps = script.steps(index);
                connections.spawn(connection::serve(stream, index, steps, Arc::clone(&shared)));
            }
        });
        Self { address, log, task }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// What each connection sent so far, in the order they came.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.log.with(|records| records.clone())
    }

    /// How many connections came so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.log.with(|records| records.len())
    }

    /// All bytes of all connections, one connection after the other.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.log.with(|records| {
            records
                .iter()
                .flat_map(|record| record.bytes.clone())
                .collect()
        })
    }

    /// All bytes as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// The complete requests of all connections.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.records().iter().flat_map(Record::requests).collect()
    }

    /// Waits until the records satisfy `condition`.
    ///
    /// # Errors
    /// When they do not within `patience`; the error holds what came.
    pub async fn wait(
        &self,
        what: &str,
        patience: Duration,
        condition: impl Fn(&[Record]) -> bool,
    ) -> crate::Result<()> {
        let holds = async {
            loop {
                let changed = self.log.changed.notified();
                tokio::pin!(changed);
                // Enabled before looking, so that no change falls between the look and the wait.
                changed.as_mut().enable();
                if self.log.with(|records| condition(records)) {
                    return Ok(());
                }
                changed.await;
            }
        };
        let waited = wait::within(what, patience, holds).await;
        waited.with_context(|| format!("the origin received {:?}", self.text()))
    }

    /// Waits until `count` connections came.
    ///
    /// # Errors
    /// When fewer came in time.
    pub async fn wait_connections(&self, count: usize) -> crate::Result<()> {
        let what = format!("{count} connections");
        self.wait(&what, wait::PATIENCE, |records| records.len() >= count)
            .await
    }

    /// Waits until `count` complete requests came.
    ///
    /// # Errors
    /// When fewer came in time.
    pub async fn wait_requests(&self, count: usize) -> crate::Result<()> {
        let what = format!("{count} requests");
        let enough = |records: &[Record]| {
            records
                .iter()
                .map(|record| record.requests().len())
                .sum::<usize>()
                >= count
        };
        self.wait(&what, wait::PATIENCE, enough).await
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
