//! Asks, as often and as many at a time as was said, on one thread.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{self, HeaderMap, HeaderValue};
use http::{HeaderName, Method, Request, Uri};
use http_body_util::Full;
use rustls::ClientConfig;
use seaworthy_core::quantity::Rate;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::aim::Aim;
use super::connection::{Connection, Lost};
use super::tally::Tally;

/// A server that cannot be connected to is not asked again at once.
const PAUSE: Duration = Duration::from_millis(10);

/// What is to be done.
pub(super) struct Load {
    pub(super) aim: Arc<Aim>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// No more requests than this are begun.
    pub(super) count: Option<u64>,
    /// None is begun after this.
    pub(super) duration: Option<Duration>,
    pub(super) connections: usize,
    /// Requests are begun at this rate, however long answers take, as far as there are connections.
    pub(super) rate: Option<Rate>,
    pub(super) timeout: Duration,
}

impl Load {
    /// Does it. Looks for `fields` in each answer. The first connection is made before the clock starts.
    ///
    /// # Errors
    /// When nobody is there.
    pub(super) async fn run(&self, fields: &[HeaderName]) -> Result<Tally, Lost> {
        let mut first = self.connection();
        match timeout(self.timeout, first.prepare()).await {
            Ok(prepared) => prepared?,
            Err(_) => return Err(Lost::Late),
        }
        let course = Course {
            load: self,
            began: Instant::now(),
            begun: Cell::new(0),
            tally: RefCell::new(Tally::new(fields)),
        };
        let others = (1..self.connections).map(|_| self.connection());
        let all = std::iter::once(first).chain(others);
        let interrupted = tokio::select! {
            _ = join_all(all.map(|connection| course.follow(connection))) => false,
            stopped = tokio::signal::ctrl_c() => stopped.is_ok(),
        };
        let took = course.began.elapsed();
        let mut tally = course.tally.into_inner();
        tally.took = took;
        tally.interrupted = interrupted;
        Ok(tally)
    }

    fn connection(&self) -> Connection {
        Connection::new(self.aim.clone(), self.tls.clone())
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.aim.path.clone());
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        // An authority that was parsed is a value.
        if !headers.contains_key(header::HOST)
            && let Ok(host) = HeaderValue::from_str(self.aim.authority.as_str())
        {
            headers.insert(header::HOST, host);
        }
        request
    }

    /// When the request of this number begins, counted from the start.
    fn due(&self, number: u64) -> Option<Duration> {
        let Rate { count, per } = self.rate?;
        let nanos = per.get().as_nanos() * u128::from(number) / u128::from(count.max(1));
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

/// A load that is under way.
struct Course<'a> {
    load: &'a Load,
    began: Instant,
    begun: Cell<u64>,
    tally: RefCell<Tally>,
}

impl Course<'_> {
    /// When the next request begins, if there is another.
    fn next(&self) -> Option<Instant> {
        let number = self.begun.get();
        let Load {
            count, duration, ..
        } = self.load;
        if count.is_some_and(|count| number >= count) {
            return None;
        }
        let now = Instant::now();
        // An answer that is late does not excuse the requests that had to wait for it: their time counts from when they were due.
        let due = self.load.due(number);
        let due = due.map_or(Some(now), |due| self.began.checked_add(due))?;
        let over = |end: Duration| due.max(now).duration_since(self.began) >= end;
        if duration.is_some_and(over) {
            return None;
        }
        self.begun.set(number + 1);
        Some(due)
    }

    async fn follow(&self, mut connection: Connection) {
        while let Some(due) = self.next() {
            // A timer would wait for its next tick, which is longer than a quick answer takes.
            let mut began = due;
            if due > Instant::now() {
                sleep_until(due).await;
                // What the timer was late is not the answer's fault.
                began = Instant::now();
            }
            let asked = timeout(self.load.timeout, connection.ask(self.load.request())).await;
            let outcome = asked.unwrap_or(Err(Lost::Late));
            self.tally.borrow_mut().record(&outcome, began.elapsed());
            if matches!(outcome, Err(Lost::Connect(_) | Lost::Tls(_))) {
                sleep(PAUSE).await;
            }
        }
    }
}
