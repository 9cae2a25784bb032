//! N connections that each send the next request when the last one is answered.
//!
//! Unlike a benchmark it must never excuse a failure: a connection that ends before an answer is complete is counted
//! under its own name, and nothing is sent twice. `Connection: close` is honoured, as every client must.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::address::Address;
use crate::client::{self, Connection};

/// How many failures are kept word by word.
const SAMPLES: usize = 20;

/// What to send and how much of it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Load {
    address: Address,
    connections: usize,
    method: String,
    request: Vec<u8>,
    time: Option<Duration>,
    count: Option<u64>,
    patience: Duration,
    reuse: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Complete answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Connections that could not be opened.
    pub refused: u64,
    /// Requests whose connection ended, or broke the protocol, before the answer was complete.
    pub cut: u64,
    /// The first failures, word by word, with the time since the start.
    pub samples: Vec<String>,
}

impl Report {
    /// Answers with `status`.
    #[must_use]
    pub fn status(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or_default()
    }

    /// Requests that were sent or could not be.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.refused + self.cut
    }

    /// Everything that is not a complete 2xx answer.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let fine = self
            .statuses
            .range(200..300)
            .map(|(_, count)| count)
            .sum::<u64>();
        self.total() - fine
    }
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    taken: AtomicU64,
    report: Mutex<Report>,
}

/// A load that runs beside the test.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Load {
    /// `GET /` over ten connections until stopped.
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            connections: 10,
            method: "GET".to_owned(),
            request: client::request("GET", "/", &[], b""),
            time: None,
            count: None,
            patience: crate::wait::PATIENCE,
            reuse: true,
        }
    }

    /// Another path.
    pub fn path(self, path: &str) -> Self {
        self.request("GET", client::request("GET", path, &[], b""))
    }

    /// Another request, byte for byte.
    pub fn request(mut self, method: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.method = method.to_owned();
        self.request = bytes.into();
        self
    }

    /// How many connections send at once.
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count;
        self
    }

    /// Stops after this time.
    pub fn for_time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Stops after so many requests over all connections.
    pub fn count(mut self, count: usize) -> Self {
        self.count = Some(count as u64);
        self
    }

    /// How long one answer may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Opens a new connection for every request.
    pub fn without_reuse(mut self) -> Self {
        self.reuse = false;
        self
    }

    /// Runs it to its time or count.
    ///
    /// # Errors
    /// When it has neither, or a task panicked.
    pub async fn run(self) -> crate::Result<Report> {
        anyhow::ensure!(
            self.time.is_some() || self.count.is_some(),
            "a load needs a time or a count to end"
        );
        self.start().finish().await
    }

    /// Starts it beside the test.
    #[must_use]
    pub fn start(self) -> Running {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        for _ in 0..self.connections {
            tasks.spawn(self.clone().work(Arc::clone(&shared)));
        }
        Running { shared, tasks }
    }

    async fn work(self, shared: Arc<Shared>) {
        let start = Instant::now();
        let mut kept = None;
        while self.next(&shared, start) {
            if let Err(failure) = self.ask(&mut kept, &shared).await {
                kept = None;
                shared.fail(start, &failure);
                // A refused port would otherwise be asked a hundred thousand times a second.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    fn next(&self, shared: &Shared, start: Instant) -> bool {
        let in_time = self.time.is_none_or(|time| start.elapsed() < time);
        let go = in_time && !shared.stop.load(Ordering::Relaxed);
        go && self
            .count
            .is_none_or(|count| shared.taken.fetch_add(1, Ordering::Relaxed) < count)
    }

    async fn ask(&self, kept: &mut Option<Connection>, shared: &Shared) -> Result<(), Failure> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address)
                .await
                .map_err(Failure::Refused)?
                .patience(self.patience),
        };
        let asked = async {
            connection.send(&self.request).await?;
            connection.response(&self.method).await
        };
        let answer = asked.await.map_err(Failure::Cut)?;
        shared.answered(answer.status);
        if self.reuse && !answer.closes() {
            *kept = Some(connection);
        }
        Ok(())
    }
}

enum Failure {
    Refused(anyhow::Error),
    Cut(anyhow::Error),
}

impl Shared {
    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, status: u16) {
        *self.report().statuses.entry(status).or_default() += 1;
    }

    fn fail(&self, start: Instant, failure: &Failure) {
        let mut report = self.report();
        let (word, error) = match failure {
            Failure::Refused(error) => {
                report.refused += 1;
                ("refused", error)
            }
            Failure::Cut(error) => {
                report.cut += 1;
                ("cut", error)
            }
        };
        if report.samples.len() < SAMPLES {
            let at = start.elapsed();
            report.samples.push(format!("{at:.3?} {word}: {error:#}"));
        }
    }
}

impl Running {
    /// What came of it so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.report().clone()
    }

    /// Complete answers so far.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.shared.report().statuses.values().sum()
    }

    /// Lets requests in flight end, sends no more, and reports.
    ///
    /// # Errors
    /// When a task panicked.
    pub async fn stop(self) -> crate::Result<Report> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }

    async fn finish(mut self) -> crate::Result<Report> {
        while let Some(done) = self.tasks.join_next().await {
            done?;
        }
        Ok(self.report())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::{Origin, Script, ok};

    #[tokio::test]
    async fn sends_exactly_its_count() {
        let origin = Origin::tcp(Script::always(ok("x"))).await.unwrap();
        let report = Load::new(origin.address())
            .connections(3)
            .count(50)
            .run()
            .await
            .unwrap();
        assert_eq!(
            (report.status(200), report.failures(), report.total()),
            (50, 0, 50)
        );
        assert_eq!(origin.requests().len(), 50);
        assert_eq!(origin.connections(), 3);
    }

    #[tokio::test]
    async fn obeys_connection_close() {
        let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let origin = Origin::tcp(Script::once(answer)).await.unwrap();
        let report = Load::new(origin.address())
            .connections(2)
            .count(10)
            .run()
            .await
            .unwrap();
        assert_eq!((report.failures(), origin.connections()), (0, 10));
    }

    #[tokio::test]
    async fn counts_short_bodies_and_refusals() {
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
        let origin = Origin::tcp(Script::once(short)).await.unwrap();
        let report = Load::new(origin.address())
            .connections(1)
            .count(4)
            .run()
            .await
            .unwrap();
        assert_eq!((report.cut, report.failures()), (4, 4), "{report:?}");
        let nobody = crate::address::free().unwrap();
        let report = Load::new(nobody)
            .connections(1)
            .count(3)
            .run()
            .await
            .unwrap();
        assert_eq!((report.refused, report.total()), (3, 3), "{report:?}");
    }
}
