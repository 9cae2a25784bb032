//! The layer that asks the limits.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use smallvec::SmallVec;
use tower_layer::Layer;
use tower_service::Service;

use super::fields::{self, Mark};
use super::round::{Outcome, Round, Settling};
use super::rules::Limits;
use super::store::Store;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::fallback;
use crate::overlay::Overlay;
use crate::timer::Timer;

/// Puts a [`RateLimit`] around a service.
#[derive(Clone, Debug)]
pub struct RateLimitLayer<St, T> {
    limits: Option<Arc<Limits>>,
    store: St,
    timer: T,
}

impl<St, T> RateLimitLayer<St, T> {
    /// Asks `limits` in `store`; nothing without any. Requests that are to wait do so by `timer`.
    pub fn new(limits: Option<Arc<Limits>>, store: St, timer: T) -> Self {
        Self {
            limits,
            store,
            timer,
        }
    }
}

impl<S, St: Clone, T: Clone> Layer<S> for RateLimitLayer<St, T> {
    type Service = RateLimit<S, St, T>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit {
            inner,
            limits: self.limits.clone(),
            store: self.store.clone(),
            timer: self.timer.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct RateLimit<S, St, T> {
    inner: S,
    limits: Option<Arc<Limits>>,
    store: St,
    timer: T,
}

impl<S, B, R, St, T> Service<Request<B>> for RateLimit<S, St, T>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error> + Clone,
    St: Store,
    T: Timer,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = ResponseFuture<S, B, St, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // One place calls on: each further one would be a copy of the request and of the future.
        let passed = match self.ask(&request) {
            Asked::Passed(passed) => passed,
            Asked::Refused(error) => return ResponseFuture::refused(*error),
            Asked::Waiting(waiting) => return self.wait(*waiting, request),
        };
        ResponseFuture {
            state: State::Running {
                future: self.inner.call(request),
            },
            passed,
        }
    }
}

/// What became of a request at once.
enum Asked<St: Store> {
    /// It may go on.
    Passed(Option<Passed<St>>),
    Refused(Box<Error>),
    Waiting(Box<Waiting<St>>),
}

/// Limits that have not all answered, or that want the request to wait for so long.
struct Waiting<St: Store> {
    limits: Arc<Limits>,
    round: Round<St>,
    time: Option<Duration>,
}

impl<S, St: Store, T> RateLimit<S, St, T> {
    fn ask<B>(&self, request: &Request<B>) -> Asked<St> {
        let exchange = request.extensions().get::<Exchange>();
        let (Some(limits), Some(exchange)) = (&self.limits, exchange) else {
            return Asked::Passed(None);
        };
        let rules = limits.rules(usize::from(exchange.route.0));
        let Some(rules) = rules.filter(|rules| !rules.is_empty()) else {
            return Asked::Passed(None);
        };
        let started = limits.clock.at(exchange.started);
        let store = &self.store;
        let mut round = Round::ask(limits, rules, store, exchange, request.headers(), started);
        let time = if round.is_complete() {
            match round.judge(store, Duration::ZERO) {
                Outcome::Pass => {
                    let overlay = exchange.overlay.clone();
                    let passed = Passed::of(limits.clone(), store, &round, overlay);
                    return Asked::Passed(Some(passed));
                }
                Outcome::Refuse(error) => return Asked::Refused(Box::new(error)),
                Outcome::Wait(time) => Some(time),
            }
        } else {
            None
        };
        Asked::Waiting(Box::new(Waiting {
            limits: limits.clone(),
            round,
            time,
        }))
    }
}

impl<S, St: Store, T: Timer> RateLimit<S, St, T> {
    fn wait<B>(&mut self, waiting: Waiting<St>, request: Request<B>) -> ResponseFuture<S, B, St, T>
    where
        S: Service<Request<B>> + Clone,
    {
        let Waiting {
            limits,
            round,
            time,
        } = waiting;
        // The one that was made ready is the one to call.
        let fresh = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, fresh);
        let sleep = time.map(|time| Box::pin(self.timer.sleep(limits.clock.real(time))));
        let asking = Asking {
            inner,
            request,
            round,
            store: self.store.clone(),
            timer: self.timer.clone(),
            limits,
            sleep,
            waited: time.unwrap_or_default(),
        };
        ResponseFuture {
            state: State::Asking {
                asking: Some(Box::new(asking)),
            },
            passed: None,
        }
    }
}

/// What is left to do when the answer comes.
struct Passed<St: Store> {
    limits: Arc<Limits>,
    marks: SmallVec<[Mark; 1]>,
    overlay: Option<Overlay>,
    /// Boxed: every future above would be larger by it.
    rare: Option<Box<Rare<St>>>,
}

/// What few requests need.
struct Rare<St: Store> {
    store: St,
    settling: Option<Settling<St>>,
    announced: Option<HeaderValue>,
}

impl<St: Store> Passed<St> {
    fn of(limits: Arc<Limits>, store: &St, round: &Round<St>, overlay: Option<Overlay>) -> Self {
        let announced = round.announced();
        let (marks, settling) = round.finish();
        let rare = (settling.is_some() || announced.is_some()).then(|| {
            Box::new(Rare {
                store: store.clone(),
                settling,
                announced,
            })
        });
        Self {
            limits,
            marks,
            overlay,
            rare,
        }
    }

    fn mark<R>(&self, response: &mut Response<R>) {
        if let Some(rare) = &self.rare
            && let Some(settling) = &rare.settling
        {
            let now = self.limits.clock.at(Instant::now());
            settling.settle(&rare.store, response.headers(), now);
        }
        let fields = &self.limits.fields;
        let told = fields::told(response.headers());
        match &self.overlay {
            Some(overlay) => fields.write(&self.marks, told, &mut *overlay.lines()),
            None => fields.write(&self.marks, told, response.headers_mut()),
        }
        let announced = self.rare.as_ref().and_then(|rare| rare.announced.as_ref());
        if let Some(announced) = announced {
            response
                .headers_mut()
                .append(&fallback::FIELD, announced.clone());
        }
    }
}

/// A request that waits for its answer from the store, or for a token.
struct Asking<S, B, St: Store, T: Timer> {
    inner: S,
    request: Request<B>,
    round: Round<St>,
    store: St,
    timer: T,
    limits: Arc<Limits>,
    sleep: Option<Pin<Box<T::Sleep>>>,
    waited: Duration,
}

impl<S, B, St: Store, T: Timer> Asking<S, B, St, T> {
    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
                self.ask_again();
            }
            ready!(self.round.poll_answers(cx));
            match self.round.judge(&self.store, self.waited) {
                Outcome::Pass => return Poll::Ready(Ok(())),
                Outcome::Refuse(error) => return Poll::Ready(Err(error)),
                Outcome::Wait(time) => {
                    self.waited += time;
                    let real = self.limits.clock.real(time);
                    self.sleep = Some(Box::pin(self.timer.sleep(real)));
                }
            }
        }
    }

    fn ask_again(&mut self) {
        let now = self.limits.clock.at(Instant::now());
        if let Some(exchange) = self.request.extensions().get::<Exchange>() {
            let headers = self.request.headers();
            self.round
                .again(&self.store, &self.limits, exchange, headers, now);
        }
    }
}

pin_project! {
    /// Ends with the answer, or with 429.
    pub struct ResponseFuture<S, B, St, T>
    where
        S: Service<Request<B>>,
        St: Store,
        T: Timer,
    {
        #[pin]
        state: State<S, B, St, T>,
        passed: Option<Passed<St>>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, St, T>
    where
        S: Service<Request<B>>,
        St: Store,
        T: Timer,
    {
        Refused { error: Option<Box<Error>> },
        Asking { asking: Option<Box<Asking<S, B, St, T>>> },
        Running { #[pin] future: S::Future },
    }
}

impl<S, B, St, T> ResponseFuture<S, B, St, T>
where
    S: Service<Request<B>>,
    St: Store,
    T: Timer,
{
    fn refused(error: Error) -> Self {
        let error = Some(Box::new(error));
        Self {
            state: State::Refused { error },
            passed: None,
        }
    }
}

impl<S, B, St, T> fmt::Debug for ResponseFuture<S, B, St, T>
where
    S: Service<Request<B>>,
    St: Store,
    T: Timer,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S, B, R, St, T> Future for ResponseFuture<S, B, St, T>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
    St: Store,
    T: Timer,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let future = match this.state.as_mut().project() {
                Projected::Refused { error } => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(*error)));
                }
                Projected::Running { future } => {
                    let mut result = ready!(future.poll(cx));
                    if let (Ok(response), Some(passed)) = (&mut result, this.passed.take()) {
                        passed.mark(response);
                    }
                    return Poll::Ready(result);
                }
                Projected::Asking { asking } => {
                    let Some(waiting) = asking else {
                        return Poll::Pending;
                    };
                    if let Err(error) = ready!(waiting.poll_outcome(cx)) {
                        *asking = None;
                        return Poll::Ready(Err(error));
                    }
                    let Some(Asking {
                        mut inner,
                        request,
                        round,
                        store,
                        limits,
                        ..
                    }) = asking.take().map(|asking| *asking)
                    else {
                        return Poll::Pending;
                    };
                    let exchange = request.extensions().get::<Exchange>();
                    let overlay = exchange.and_then(|exchange| exchange.overlay.clone());
                    *this.passed = Some(Passed::of(limits, &store, &round, overlay));
                    inner.call(request)
                }
            };
            this.state.set(State::Running { future });
        }
    }
}
