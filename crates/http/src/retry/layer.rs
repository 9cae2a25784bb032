//! The layer that sends again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use seaworthy_core::clock::Clock;
use tower_layer::Layer;
use tower_service::Service;

use super::kept::{Kept, Tape};
use super::plan::{Passing, Plan, Tally};
use crate::breaker::Circuits;
use crate::error::{BodyError, Error};
use crate::exchange::Exchange;
use crate::timer::Timer;

/// An answer that is given up is read to its end if it is no longer than this; a longer one costs its connection.
const LEFTOVER: usize = 64 << 10;

/// The plan of each route, the first for requests without one.
type Plans = Arc<[Option<Arc<Plan>>]>;

/// Puts a [`Retry`] around a service.
#[derive(Clone, Debug)]
pub struct RetryLayer<T> {
    plans: Plans,
    circuits: Circuits,
    clock: Clock,
    timer: T,
}

impl<T> RetryLayer<T> {
    /// Repeats as the plan of a route says, and never while the circuit of the request is open.
    pub fn new(plans: Plans, circuits: Circuits, clock: Clock, timer: T) -> Self {
        Self {
            plans,
            circuits,
            clock,
            timer,
        }
    }
}

impl<S, T: Clone> Layer<S> for RetryLayer<T> {
    type Service = Retry<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry {
            inner,
            layer: self.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Retry<S, T> {
    inner: S,
    layer: RetryLayer<T>,
}

impl<S, B, R, T> Service<Request<B>> for Retry<S, T>
where
    S: Service<Request<Kept<B>>, Response = Response<R>, Error = Error> + Clone,
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
    R: Body<Data = Bytes>,
    T: Timer,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = ResponseFuture<S, B, R, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let exchange = request.extensions().get::<Exchange>();
        let route = exchange.map(|exchange| exchange.route).unwrap_or_default();
        // What may become a tunnel has no second beginning.
        let upgrade = exchange.is_some_and(|exchange| exchange.upgrade);
        let plan = self.layer.plans.get(route.index()).cloned().flatten();
        let Some(plan) = plan.filter(|_| !upgrade) else {
            return ResponseFuture {
                state: State::Calling {
                    future: self.inner.call(request.map(Kept::plain)),
                },
                leftover: None,
                again: None,
            };
        };
        if let Some(budget) = &plan.budget {
            budget.call();
        }
        // The service that was made ready is the one to call; the clone is not ready.
        let clone = self.inner.clone();
        let mut service = std::mem::replace(&mut self.inner, clone);
        let (parts, body) = request.into_parts();
        let (head, keep) = (Request::from_parts(parts.clone(), ()), plan.keep);
        let (body, tape) = if body.is_end_stream() {
            (Kept::plain(body), None)
        } else {
            let tape = Tape::new(body, keep);
            (tape.play(), Some(tape))
        };
        let future = service.call(Request::from_parts(parts, body));
        ResponseFuture {
            state: State::Calling { future },
            leftover: None,
            again: Some(Box::new(Again {
                service,
                head,
                tape,
                plan,
                began: Instant::now(),
                made: 0,
                layer: self.layer.clone(),
            })),
        }
    }
}

/// What it takes to send a request again.
#[derive(Debug)]
struct Again<S, B, T> {
    service: S,
    head: Request<()>,
    tape: Option<Tape<B>>,
    plan: Arc<Plan>,
    began: Instant,
    made: u32,
    layer: RetryLayer<T>,
}

impl<S, B, T: Timer> Again<S, B, T> {
    /// Whether to send again after this outcome, and then after which sleep.
    fn after<R>(&mut self, result: &Result<Response<R>, Error>) -> Option<T::Sleep> {
        let passing = self.plan.passing(result)?;
        let wait = self.wait(passing)?;
        let now = self.layer.clock.at(Instant::now());
        if let Some(budget) = &self.plan.budget
            && !budget.take(now)
        {
            Tally::count(&self.plan.tally.exhausted);
            return None;
        }
        self.made += 1;
        Tally::count(&self.plan.tally.retries);
        Some(self.layer.timer.sleep(wait))
    }

    fn wait(&self, passing: Passing) -> Option<std::time::Duration> {
        let (head, plan) = (&self.head, &self.plan);
        let exchange = head.extensions().get::<Exchange>();
        let has_key = head
            .headers()
            .get("idempotency-key")
            .is_some_and(|key| !key.is_empty());
        let method = head.method();
        let may = plan.eligible.may(method.as_str(), has_key, passing.unsent)
            && self.tape.as_ref().is_none_or(Tape::is_whole)
            && !exchange.is_some_and(Exchange::has_informed);
        if !may {
            return None;
        }
        // What came before, as a wait for its turn, is not of the time that the deadline is about.
        let left = plan
            .deadline
            .map(|deadline| deadline.saturating_sub(self.began.elapsed()));
        let dice = fastrand::f64();
        let wait = plan
            .schedule
            .wait(self.made + 1, dice, passing.asked, left)?;
        let route = || Exchange::route_of(head.extensions());
        let circuit = self.layer.circuits.find(route, method, head.uri());
        let clock = self.layer.clock;
        // By then it may let a probe through, so the question is whether it will refuse at that time.
        let then = || clock.at(Instant::now() + wait);
        let refuses = circuit.is_some_and(|circuit| circuit.breaker.would_refuse(then));
        (!refuses).then_some(wait)
    }

    fn request(&self) -> Request<Kept<B>> {
        let mut request = self.head.clone();
        let body = match &self.tape {
            Some(tape) => {
                // A client that has sent something was told to go on, or needed no telling.
                if tape.is_touched()
                    && let Some(exchange) = request.extensions_mut().get_mut::<Exchange>()
                {
                    exchange.expects_continue = false;
                }
                tape.play()
            }
            None => Kept::nothing(),
        };
        request.map(|()| body)
    }

    fn ends<R>(&self, result: &Result<Response<R>, Error>) {
        if self.made == 0 {
            return;
        }
        let tally = &self.plan.tally;
        Tally::count(if self.plan.is_failure(result) {
            &tally.failed
        } else {
            &tally.recovered
        });
    }
}

pin_project! {
    /// Ends with the answer of the last try.
    pub struct ResponseFuture<S, B, R, T>
    where
        S: Service<Request<Kept<B>>>,
        T: Timer,
    {
        #[pin]
        state: State<S::Future, T::Sleep>,
        #[pin]
        leftover: Option<Leftover<R>>,
        again: Option<Box<Again<S, B, T>>>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, P> {
        Calling { #[pin] future: F },
        Waiting { #[pin] sleep: P },
        Readying,
    }
}

pin_project! {
    /// The body of an answer that nobody gets.
    struct Leftover<R> {
        #[pin]
        body: R,
        read: usize,
    }
}

impl<R: Body<Data = Bytes>> Leftover<R> {
    /// Reads on. Ready when there is nothing more to be had, or too much.
    fn poll_end(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        while *this.read <= LEFTOVER {
            match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => *this.read += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) | None => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S, B, R, T> std::fmt::Debug for ResponseFuture<S, B, R, T>
where
    S: Service<Request<Kept<B>>>,
    T: Timer,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("made", &self.again.as_ref().map(|again| again.made))
            .finish_non_exhaustive()
    }
}

impl<S, B, R, T> Future for ResponseFuture<S, B, R, T>
where
    S: Service<Request<Kept<B>>, Response = Response<R>, Error = Error>,
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
    R: Body<Data = Bytes>,
    T: Timer,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                Projected::Calling { future } => {
                    let result = ready!(future.poll(cx));
                    let Some(again) = this.again else {
                        return Poll::Ready(result);
                    };
                    let Some(sleep) = again.after(&result) else {
                        again.ends(&result);
                        return Poll::Ready(result);
                    };
                    let leftover = result.ok().map(|response| Leftover {
                        body: response.into_body(),
                        read: 0,
                    });
                    this.leftover.set(leftover);
                    this.state.set(State::Waiting { sleep });
                }
                Projected::Waiting { sleep } => {
                    if let Some(leftover) = this.leftover.as_mut().as_pin_mut()
                        && leftover.poll_end(cx).is_ready()
                    {
                        this.leftover.set(None);
                    }
                    ready!(sleep.poll(cx));
                    this.leftover.set(None);
                    this.state.set(State::Readying);
                }
                Projected::Readying => {
                    let Some(again) = this.again else {
                        return Poll::Pending;
                    };
                    if let Err(error) = ready!(again.service.poll_ready(cx)) {
                        return Poll::Ready(Err(error));
                    }
                    let request = again.request();
                    let future = again.service.call(request);
                    this.state.set(State::Calling { future });
                }
            }
        }
    }
}
