//! The bottom of the stack: a request goes to an instance of the app.
//!
//! Nearly every request finds an idle connection and takes the short road, which allocates nothing and boxes nothing.
//! Whatever has to wait (for a connection, for an app that is starting, for a second try) takes the long one, which is an
//! ordinary boxed `async fn`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use seaworthy_core::catalogue;
use seaworthy_core::route::RouteId;
use tower_service::Service;

use super::body::UpstreamBody;
use super::connection::Connection;
use super::pool::{Config, Lease, Pool};
use super::replay::{self, Attempt};
use super::request;
use super::response::Head;
use super::roster::{Availability, Endpoint, Roster, Seat};
use super::socket::Socket;
use super::transfer::{CONTINUE_WAIT, Cause, Failed, Sending, Transfer};
use crate::body::Tunnel;
use crate::error::{BodyError, Error};
use crate::timer::{SweepTimer, Timer};

/// A second try after a refused connection comes after this long.
const AGAIN: Duration = Duration::from_millis(25);
/// How long the supervisor is given to notice the death of an app whose connection ended.
const OBITUARY: Duration = Duration::from_millis(150);
/// Second sendings of one request.
const REPLAYS: u32 = 2;

/// Sends requests to the app. Clones share one worker's connections; it belongs to that worker's thread.
#[derive(Clone)]
pub struct Upstream(Rc<Shared>);

struct Shared {
    pool: Rc<Pool>,
    roster: Roster,
    seat: RefCell<Seat>,
    config: Config,
    timer: SweepTimer,
    via: Box<str>,
    parked: Cell<usize>,
}

impl Upstream {
    /// A worker's way to the app. `via` is the pseudonym for the `Via` field.
    pub fn new(roster: &Roster, config: Config, timer: SweepTimer, via: &str) -> Self {
        Self(Rc::new(Shared {
            pool: Rc::new(Pool::new(
                timer.clone(),
                config.progress.is_some().then(|| roster.pulses().clone()),
            )),
            roster: roster.clone(),
            seat: RefCell::new(roster.seat()),
            config,
            timer,
            via: via.into(),
            parked: Cell::new(0),
        }))
    }

    /// Closes connections that idled too long. Call it about once a second.
    pub fn sweep(&self) {
        self.0.pool.sweep(self.0.config.idle);
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("roster", &self.0.roster)
            .finish_non_exhaustive()
    }
}

type Answer<B> = Response<UpstreamBody<B>>;

impl<B> Service<Request<B>> for Upstream
where
    B: Body<Data = Bytes, Error = BodyError> + Tunnel + Unpin + 'static,
{
    type Response = Answer<B>;
    type Error = Error;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<B> {
        let (parts, body) = request.into_parts();
        let sending = Sending(parts);
        let taken = {
            let mut seat = self.0.seat.borrow_mut();
            self.0.pool.take(&seat.roll().endpoints, self.0.config.idle)
        };
        let road = match taken {
            Some((_, Some(connection), lease)) => {
                match self.0.start(connection, lease, sending, body) {
                    Some(transfer) => Road::Short(Some(transfer)),
                    None => Road::Failed(Some(Box::new(Error::new(&catalogue::INTERNAL)))),
                }
            }
            _ => Road::Long(Box::pin(long(self.0.clone(), sending, body, None))),
        };
        ResponseFuture {
            shared: self.0.clone(),
            road,
        }
    }
}

/// Ends with the head of the app's answer.
pub struct ResponseFuture<B> {
    shared: Rc<Shared>,
    road: Road<B>,
}

enum Road<B> {
    Short(Option<Box<Transfer<B>>>),
    Long(Pin<Box<dyn Future<Output = Result<Answer<B>, Error>>>>),
    Failed(Option<Box<Error>>),
}

impl<B> fmt::Debug for ResponseFuture<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<B> Unpin for ResponseFuture<B> {}

impl<B> Future for ResponseFuture<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Tunnel + Unpin + 'static,
{
    type Output = Result<Answer<B>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.road {
                Road::Short(running) => {
                    let Some(transfer) = running else {
                        return Poll::Pending;
                    };
                    let Poll::Ready(result) = transfer.poll_head(cx) else {
                        return Poll::Pending;
                    };
                    let Some(transfer) = running.take() else {
                        return Poll::Pending;
                    };
                    let failed = match result {
                        Ok(head) => return Poll::Ready(Ok(answer(head, transfer))),
                        Err(failed) => failed,
                    };
                    let (shared, endpoint) = (this.shared.clone(), transfer.endpoint());
                    this.road = Road::Long(match transfer.into_request() {
                        Some((sending, body)) => {
                            Box::pin(long(shared, sending, body, Some((failed, endpoint))))
                        }
                        None => Box::pin(give_up(shared, failed, endpoint)),
                    });
                }
                Road::Long(future) => return future.as_mut().poll(cx),
                Road::Failed(error) => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(*error)));
                }
            }
        }
    }
}

fn answer<B>(head: Head, mut transfer: Box<Transfer<B>>) -> Answer<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Tunnel + Unpin,
{
    if transfer.is_end_stream() {
        // Nobody asks a body without bytes for its end.
        transfer.finish();
    }
    let mut response = Response::new(UpstreamBody(transfer));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

impl Shared {
    /// Begins an exchange with the app; `None` for a request that nobody has identified.
    fn start<B>(
        &self,
        mut connection: Box<Connection>,
        mut lease: Lease,
        sending: Sending,
        body: B,
    ) -> Option<Box<Transfer<B>>>
    where
        B: Body<Data = Bytes, Error = BodyError> + Tunnel + Unpin,
    {
        let (parts, exchange) = (&sending.0, sending.exchange()?);
        let coding = request::coding(parts, exchange, body.size_hint().exact());
        request::write_head(connection.output.head(), parts, exchange, coding, &self.via);
        if let Some(pings) = &self.config.progress {
            let route = pings.find(parts.method.as_str(), parts.uri.path());
            if route == RouteId::UNMATCHED {
                lease.follow();
            }
        }
        let hold = exchange
            .expects_continue
            .then(|| self.timer.sleep(CONTINUE_WAIT));
        Some(Transfer::new(
            sending,
            connection,
            lease,
            self.config.idle_connections,
            body,
            coding,
            hold,
        ))
    }

    /// An instance and, unless `fresh`, an idle connection to it. Waits while the app is starting.
    async fn seat(
        &self,
        until: Instant,
    ) -> Result<(Endpoint, Option<Box<Connection>>, Lease), Error> {
        let mut seat = self.seat.borrow().clone();
        let mut parked = None;
        loop {
            seat.mark();
            let roll = seat.roll().clone();
            if let Some((at, connection, lease)) = self.pool.take(&roll.endpoints, self.config.idle)
            {
                return Ok((roll.endpoints[at].clone(), connection, lease));
            }
            match roll.availability {
                Availability::Ready | Availability::Starting => {}
                Availability::Backoff(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    return Err(Error::new(&catalogue::RESTARTING).retry_after(left));
                }
                Availability::Absent => return Err(Error::new(&catalogue::NOT_FOUND)),
                Availability::Gone => return Err(Error::new(&catalogue::UPSTREAM_UNREACHABLE)),
            }
            if parked.is_none() {
                parked =
                    Some(Parked::enter(self).ok_or_else(|| Error::new(&catalogue::OVERLOADED))?);
            }
            let left = until.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, seat.changed()).await.is_err() {
                return Err(Error::new(&catalogue::STARTING));
            }
        }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Option<Box<Connection>> {
        let connecting = Socket::connect(&endpoint.address);
        let socket = tokio::time::timeout(self.config.connect_timeout, connecting)
            .await
            .ok()?
            .ok()?;
        Some(Connection::new(socket))
    }

    fn is_listed(&self, endpoint: u64) -> bool {
        self.seat
            .borrow_mut()
            .roll()
            .endpoints
            .iter()
            .any(|other| other.id == endpoint)
    }

    /// Whether the app died whose connection ended: its end and the supervisor's news of it are moments apart.
    async fn died(&self, endpoint: u64) -> bool {
        if !self.roster.is_supervised() {
            return false;
        }
        let mut seat = self.seat.borrow().clone();
        let wait = async {
            loop {
                seat.mark();
                if !seat
                    .roll()
                    .endpoints
                    .iter()
                    .any(|other| other.id == endpoint)
                {
                    return;
                }
                seat.changed().await;
            }
        };
        tokio::time::timeout(OBITUARY, wait).await.is_ok()
    }
}

/// A request that waits for the app to start; dropping it makes room for another.
struct Parked<'a>(&'a Shared);

impl<'a> Parked<'a> {
    fn enter(shared: &'a Shared) -> Option<Self> {
        let parked = shared.parked.get();
        (parked < shared.config.parked).then(|| {
            shared.parked.set(parked + 1);
            shared.roster.park();
            Self(shared)
        })
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.parked.set(self.0.parked.get() - 1);
        self.0.roster.unpark();
    }
}

/// Everything that takes more than an idle connection. `before` is a try that failed, and with whom.
async fn long<B>(
    shared: Rc<Shared>,
    mut sending: Sending,
    mut body: B,
    mut before: Option<(Failed, u64)>,
) -> Result<Answer<B>, Error>
where
    B: Body<Data = Bytes, Error = BodyError> + Tunnel + Unpin,
{
    let until = Instant::now() + shared.config.park;
    let mut replays = 0;
    loop {
        let mut only = None;
        if let Some((failed, endpoint)) = before.take() {
            let attempt = Attempt {
                reused: failed.reused,
                sent: failed.sent,
                answered: failed.answered,
                body_taken: failed.body_taken,
                app_died: !shared.is_listed(endpoint),
            };
            replays += 1;
            if replays > REPLAYS || !replay::may_replay(&sending.0.method, attempt) {
                return Err(explain(&shared, failed, endpoint).await);
            }
            // What was sent may only go to the very life of the app that it was sent to.
            only = failed.sent.then_some((failed, endpoint));
        }
        let (connection, lease) = match join(&shared, until, only).await {
            Ok(joined) => joined,
            Err(error) => return Err(error),
        };
        let Some(mut transfer) = shared.start(connection, lease, sending, body) else {
            return Err(Error::new(&catalogue::INTERNAL));
        };
        match poll_fn(|cx| transfer.poll_head(cx)).await {
            Ok(head) => return Ok(answer(head, transfer)),
            Err(failed) => {
                let endpoint = transfer.endpoint();
                match transfer.into_request() {
                    Some(again) => (sending, body) = again,
                    None => return Err(explain(&shared, failed, endpoint).await),
                }
                before = Some((failed, endpoint));
            }
        }
    }
}

/// A connection to an instance: an idle one, or a new one. `only` names the one life of the app that will do, and what to
/// report when it is over.
async fn join(
    shared: &Shared,
    until: Instant,
    only: Option<(Failed, u64)>,
) -> Result<(Box<Connection>, Lease), Error> {
    loop {
        let (endpoint, idle, lease) = shared.seat(until).await?;
        if let Some((failed, wanted)) = only {
            // A connection that idled out is the reason to be here, so another idle one is no remedy.
            let fresh = if endpoint.id == wanted {
                shared.connect(&endpoint).await
            } else {
                None
            };
            return match fresh {
                Some(connection) => Ok((connection, lease)),
                None => Err(explain(shared, failed, wanted).await),
            };
        }
        if let Some(connection) = idle {
            return Ok((connection, lease));
        }
        if let Some(connection) = shared.connect(&endpoint).await {
            return Ok((connection, lease));
        }
        if !shared.roster.is_supervised() || Instant::now() + AGAIN > until {
            return Err(Error::new(&catalogue::UPSTREAM_UNREACHABLE));
        }
        // Nothing was sent: the next life of the app may have it.
        tokio::time::sleep(AGAIN).await;
    }
}

async fn give_up<B>(shared: Rc<Shared>, failed: Failed, endpoint: u64) -> Result<Answer<B>, Error> {
    Err(explain(&shared, failed, endpoint).await)
}

/// The error for an exchange that came to nothing.
async fn explain(shared: &Shared, failed: Failed, endpoint: u64) -> Error {
    match failed.cause {
        Cause::Malformed(what) => {
            Error::new(&catalogue::BAD_UPSTREAM_RESPONSE).with("reason", what)
        }
        Cause::Body(error) => Error::from(&error),
        Cause::Lost if shared.died(endpoint).await => Error::new(&catalogue::UPSTREAM_CRASHED),
        Cause::Lost => Error::new(&catalogue::UPSTREAM_CLOSED),
    }
}
