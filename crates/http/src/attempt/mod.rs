//! Ends one try that takes too long to the head of its answer, so that the breaker above learns of it and there is time for
//! another.
//!
//! It is not the `timeout` layer again: that one watches the whole exchange and the body, and drops what is below it, which a
//! breaker takes for a client that went away. This one answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use seaworthy_core::catalogue;
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Error;
use crate::exchange::Exchange;
use crate::timer::Timer;

/// Puts an [`Attempt`] around a service.
#[derive(Clone, Debug)]
pub struct AttemptLayer<T> {
    limits: Arc<[Option<Duration>]>,
    timer: T,
}

impl<T> AttemptLayer<T> {
    /// The limit of each route, the first for requests without one.
    pub fn new(limits: Arc<[Option<Duration>]>, timer: T) -> Self {
        Self { limits, timer }
    }
}

impl<S, T: Clone> Layer<S> for AttemptLayer<T> {
    type Service = Attempt<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Attempt {
            inner,
            limits: self.limits.clone(),
            timer: self.timer.clone(),
        }
    }
}

/// See the [module documentation](self).
#[derive(Clone, Debug)]
pub struct Attempt<S, T> {
    inner: S,
    limits: Arc<[Option<Duration>]>,
    timer: T,
}

impl<S, B, R, T> Service<Request<B>> for Attempt<S, T>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
    T: Timer,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = ResponseFuture<S::Future, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let route = Exchange::route_among(request.extensions(), &self.limits);
        let limit = self.limits.get(route.index()).copied().flatten();
        ResponseFuture {
            future: self.inner.call(request),
            sleep: limit.map(|limit| self.timer.sleep(limit)),
            limit: limit.unwrap_or_default(),
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
        sleep: Option<T::Sleep>,
        limit: Duration,
    }
}

impl<F, R, T> Future for ResponseFuture<F, T>
where
    F: Future<Output = Result<Response<R>, Error>>,
    T: Timer,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.future.poll(cx) {
            return Poll::Ready(result);
        }
        let due = this
            .sleep
            .as_pin_mut()
            .is_some_and(|sleep| sleep.poll(cx).is_ready());
        if !due {
            return Poll::Pending;
        }
        let seconds = this.limit.as_secs_f64();
        let error = Error::new(&catalogue::UPSTREAM_TIMEOUT).with("timeout_seconds", seconds);
        Poll::Ready(Err(error))
    }
}
