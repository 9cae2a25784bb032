//! The layer that starts the clocks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use seaworthy_core::catalogue;
use tower_layer::Layer;
use tower_service::Service;

use super::{Limits, TimedBody};
use crate::drain::is_event_stream;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::timer::Timer;

/// Puts a [`Timeout`] around a service.
#[derive(Clone, Debug)]
pub struct TimeoutLayer<T> {
    limits: Arc<[Limits]>,
    timer: T,
}

impl<T> TimeoutLayer<T> {
    /// One set of limits for each route, the first for requests without one.
    pub fn new(limits: &[Limits], timer: T) -> Self {
        Self {
            limits: limits.into(),
            timer,
        }
    }
}

impl<S, T: Clone> Layer<S> for TimeoutLayer<T> {
    type Service = Timeout<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout {
            inner,
            limits: self.limits.clone(),
            timer: self.timer.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Timeout<S, T> {
    inner: S,
    limits: Arc<[Limits]>,
    timer: T,
}

impl<S, B, R, T> Service<Request<B>> for Timeout<S, T>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
    R: Body,
    T: Timer,
{
    type Response = Response<TimedBody<R, T>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let route = Exchange::route_among(request.extensions(), &self.limits).index();
        let limits = self.limits.get(route).copied().unwrap_or_default();
        ResponseFuture {
            future: self.inner.call(request),
            response: limits.response.map(|limit| self.timer.sleep(limit)),
            total: limits.total.map(|limit| Box::pin(self.timer.sleep(limit))),
            limits: self.limits.clone(),
            route,
            timer: self.timer.clone(),
        }
    }
}

pin_project! {
    /// Ends with the answer, or with 504.
    #[derive(Debug)]
    pub struct ResponseFuture<F, T: Timer> {
        #[pin]
        future: F,
        #[pin]
        response: Option<T::Sleep>,
        total: Option<Pin<Box<T::Sleep>>>,
        // Not the limits themselves, which are larger than the rest.
        limits: Arc<[Limits]>,
        route: usize,
        timer: T,
    }
}

impl<F, R, T> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<Response<R>, Error>>,
    R: Body,
    T: Timer,
{
    type Output = Result<Response<TimedBody<R, T>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(result) = this.future.poll(cx) {
            let limits = this.limits.get(*this.route).copied().unwrap_or_default();
            return Poll::Ready(result.map(|response| {
                let tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                let silence = match () {
                    () if tunnel => limits.tunnel,
                    () if is_event_stream(&response) => limits.events,
                    () => limits.idle,
                };
                // A tunnel has no total: it would be cut in the middle of its life.
                let total = this.total.take().filter(|_| !tunnel);
                response.map(|inner| TimedBody::new(inner, this.timer.clone(), silence, total))
            }));
        }
        if this
            .response
            .as_mut()
            .as_pin_mut()
            .is_some_and(|sleep| sleep.poll(cx).is_ready())
        {
            let limits = this.limits.get(*this.route).copied().unwrap_or_default();
            let seconds = limits.response.unwrap_or_default().as_secs_f64();
            return Poll::Ready(Err(
                Error::new(&catalogue::UPSTREAM_TIMEOUT).with("timeout_seconds", seconds)
            ));
        }
        if this
            .total
            .as_mut()
            .is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
        {
            let limits = this.limits.get(*this.route).copied().unwrap_or_default();
            let seconds = limits.total.unwrap_or_default().as_secs_f64();
            return Poll::Ready(Err(
                Error::new(&catalogue::TIMEOUT).with("timeout_seconds", seconds)
            ));
        }
        Poll::Pending
    }
}
