//! The layer that lets in as many as there are places for.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use seaworthy_core::catalogue;
use seaworthy_core::clock::Clock;
use seaworthy_core::concurrency::{Place, Priority, Refusal, Sample, Ticket};
use smallvec::SmallVec;
use tower_layer::Layer;
use tower_service::Service;

use super::{PlaceBody, Pool, Pressure};
use crate::drain::is_event_stream;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::timer::Timer;

/// What holds for one route.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Places that a request needs, of the route first and of the service then: a crowd on one route must not hold places of all
    /// while it waits for its own.
    pub pools: SmallVec<[Arc<Pool>; 2]>,
    /// How much its requests matter.
    pub priority: Priority,
}

#[derive(Debug)]
struct Shared {
    rules: Box<[Rule]>,
    pressure: Arc<Pressure>,
    clock: Clock,
}

/// Puts a [`Concurrency`] around a service.
#[derive(Clone, Debug)]
pub struct ConcurrencyLayer<T> {
    shared: Option<Arc<Shared>>,
    timer: T,
}

impl<T> ConcurrencyLayer<T> {
    /// One rule for each route, the first for requests without one; no bounds at all where there are none.
    pub fn new(rules: Vec<Rule>, pressure: Arc<Pressure>, clock: Clock, timer: T) -> Self {
        let shared = (!rules.is_empty()).then(|| {
            Arc::new(Shared {
                rules: rules.into(),
                pressure,
                clock,
            })
        });
        Self { shared, timer }
    }
}

impl<S, T: Clone> Layer<S> for ConcurrencyLayer<T> {
    type Service = Concurrency<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Concurrency {
            inner,
            shared: self.shared.clone(),
            timer: self.timer.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Concurrency<S, T> {
    inner: S,
    shared: Option<Arc<Shared>>,
    timer: T,
}

impl<S, B, R, T> Service<Request<B>> for Concurrency<S, T>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error> + Clone,
    R: Body,
    T: Timer,
{
    type Response = Response<PlaceBody<R>>;
    type Error = Error;
    type Future = ResponseFuture<S, B, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(shared) = &self.shared else {
            return ResponseFuture {
                state: State::Running {
                    future: self.inner.call(request),
                },
                held: None,
            };
        };
        let route = Exchange::route_among(request.extensions(), &shared.rules).index();
        let route = if route < shared.rules.len() { route } else { 0 };
        let mut held = Held {
            shared: shared.clone(),
            route,
            places: SmallVec::new(),
            admitted: None,
        };
        if shared.pressure.refuses(shared.rules[route].priority) {
            return ResponseFuture {
                state: State::refused("memory"),
                held: None,
            };
        }
        let state = match held.advance() {
            Ok(None) => State::Running {
                future: self.inner.call(request),
            },
            Ok(Some(ticket)) => {
                // The service that was made ready is the one that is called; a fresh clone takes its place.
                let fresh = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, fresh);
                State::Waiting {
                    ticket,
                    sleep: Box::pin(self.timer.sleep(held.patience())),
                    request: Some(Box::new((inner, request))),
                }
            }
            Err(reason) => State::refused(reason),
        };
        ResponseFuture {
            state,
            held: Some(held),
        }
    }
}

/// The places that a request has so far.
#[derive(Debug)]
struct Held {
    shared: Arc<Shared>,
    route: usize,
    places: SmallVec<[Place; 2]>,
    /// Since when, where a pool learns from the time that answers take.
    admitted: Option<Instant>,
}

impl Held {
    fn rule(&self) -> &Rule {
        &self.shared.rules[self.route]
    }

    /// The pool whose place is wanted next.
    fn next(&self) -> Option<&Arc<Pool>> {
        self.rule().pools.get(self.places.len())
    }

    fn patience(&self) -> std::time::Duration {
        self.next().map(|pool| pool.patience()).unwrap_or_default()
    }

    /// Takes places until one has to be waited for.
    fn advance(&mut self) -> Result<Option<Ticket>, &'static str> {
        while let Some(pool) = self.next().cloned() {
            match pool.slots().enter(self.rule().priority) {
                Ok(Ok(place)) => self.places.push(place),
                Ok(Err(ticket)) => return Ok(Some(ticket)),
                Err(_) => return Err(self.refuse("queue_full")),
            }
        }
        let learns = self.rule().pools.iter().any(|pool| pool.learns());
        self.admitted = learns.then(Instant::now);
        Ok(None)
    }

    fn refuse(&self, reason: &'static str) -> &'static str {
        if let Some(pool) = self.next() {
            pool.refuse();
        }
        reason
    }

    /// Tells the pools what became of the request.
    fn tell<R: Body>(&self, result: &Result<Response<R>, Error>) {
        let Some(admitted) = self.admitted else {
            return;
        };
        let now = Instant::now();
        let sample = match result {
            Ok(response) if is_stream(response) => return,
            // Answered at once because something is wrong: it says nothing of the load.
            Ok(response)
                if response.status().is_server_error() || response.status().is_client_error() =>
            {
                return;
            }
            Ok(_) => Sample::Answered(now - admitted),
            Err(error) if error.kind().status == 504 => Sample::Dropped,
            Err(_) => return,
        };
        for (pool, place) in self.rule().pools.iter().zip(&self.places) {
            pool.take_in(place, sample, self.shared.clock.at(now));
        }
    }
}

fn is_stream<R: Body>(response: &Response<R>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS || is_event_stream(response)
}

pin_project! {
    /// Ends with the answer, or with a refusal once there is no hope of a place.
    #[derive(Debug)]
    pub struct ResponseFuture<S, B, T>
    where
        S: Service<Request<B>>,
        T: Timer,
    {
        #[pin]
        state: State<S, S::Future, B, T::Sleep>,
        held: Option<Held>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum State<S, F, B, Z> {
        Refused { reason: &'static str },
        // Boxed what makes it larger than a request that does not wait.
        Waiting { ticket: Ticket, sleep: Pin<Box<Z>>, request: Option<Box<(S, Request<B>)>> },
        Running { #[pin] future: F },
    }
}

impl<S, F, B, Z> State<S, F, B, Z> {
    fn refused(reason: &'static str) -> Self {
        Self::Refused { reason }
    }
}

impl<S, B, R, T> Future for ResponseFuture<S, B, T>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
    R: Body,
    T: Timer,
{
    type Output = Result<Response<PlaceBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                Projected::Refused { reason } => {
                    return Poll::Ready(Err(
                        Error::new(&catalogue::OVERLOADED).with("reason", *reason)
                    ));
                }
                Projected::Running { future } => {
                    let result = std::task::ready!(future.poll(cx));
                    return Poll::Ready(finish(result, this.held.take()));
                }
                Projected::Waiting {
                    ticket,
                    sleep,
                    request,
                } => {
                    let Some(held) = this.held.as_mut() else {
                        return Poll::Pending;
                    };
                    match ticket.poll(cx) {
                        Poll::Ready(Ok(place)) => {
                            held.places.push(place);
                            match (held.advance(), request.take()) {
                                (Ok(None), Some(kept)) => {
                                    let (mut inner, request) = *kept;
                                    State::Running {
                                        future: inner.call(request),
                                    }
                                }
                                // The next pool has a queue of its own, and the patience goes on.
                                (Ok(Some(next)), kept) => {
                                    *ticket = next;
                                    *request = kept;
                                    continue;
                                }
                                (Err(reason), _) => State::refused(reason),
                                (Ok(None), None) => return Poll::Pending,
                            }
                        }
                        Poll::Ready(Err(Refusal::Displaced | Refusal::Full)) => {
                            State::refused(held.refuse("displaced"))
                        }
                        Poll::Pending => {
                            std::task::ready!(sleep.as_mut().poll(cx));
                            State::refused(held.refuse("queue_timeout"))
                        }
                    }
                }
            };
            this.state.set(next);
        }
    }
}

fn finish<R: Body>(
    result: Result<Response<R>, Error>,
    held: Option<Held>,
) -> Result<Response<PlaceBody<R>>, Error> {
    if let Some(held) = &held {
        held.tell(&result);
    }
    result.map(|response| {
        let keeps = !is_stream(&response);
        let places = held.filter(|_| keeps).map(|held| held.places);
        response.map(|body| PlaceBody::new(body, places.unwrap_or_default()))
    })
}
