//! The gate in front of the app.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use seaworthy_core::catalogue;
use tower_layer::Layer;
use tower_service::Service;

use super::{Drain, DrainBody, Inside, Phase};
use crate::error::Error;
use crate::exchange::Exchange;

/// Puts a [`DrainGate`] around a service.
#[derive(Clone, Debug)]
pub struct DrainLayer {
    drain: Drain,
}

impl DrainLayer {
    /// A gate that `drain` opens and closes.
    pub fn new(drain: Drain) -> Self {
        Self { drain }
    }
}

impl<S> Layer<S> for DrainLayer {
    type Service = DrainGate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DrainGate {
            inner,
            drain: self.drain.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct DrainGate<S> {
    inner: S,
    drain: Drain,
}

impl<S, B, R> Service<Request<B>> for DrainGate<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
    R: Body,
{
    type Response = Response<DrainBody<R>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.drain.admits(Instant::now) {
            return ResponseFuture {
                state: State::Refused,
            };
        }
        let exchange = request.extensions().get::<Exchange>();
        let heard = exchange.and_then(|exchange| exchange.heard);
        let inside = Some(self.drain.enter(heard));
        ResponseFuture {
            state: State::Inside {
                future: self.inner.call(request),
                inside,
            },
        }
    }
}

pin_project! {
    /// Ends with the answer of the app, or at the deadline.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjected]
    #[derive(Debug)]
    enum State<F> {
        Refused,
        Inside { #[pin] future: F, inside: Option<Inside> },
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, Error>>,
    R: Body,
{
    type Output = Result<Response<DrainBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjected::Refused => Poll::Ready(Err(Error::new(&catalogue::SHUTTING_DOWN))),
            StateProjected::Inside { future, inside } => {
                if let Poll::Ready(result) = future.poll(cx) {
                    let guard = inside.take();
                    return Poll::Ready(result.map(|response| DrainBody::wrap(response, guard)));
                }
                let at_deadline = inside
                    .as_mut()
                    .is_some_and(|inside| inside.poll_phase(cx) == Phase::Cut);
                if !at_deadline {
                    return Poll::Pending;
                }
                if let Some(guard) = inside {
                    guard.mark_cut();
                }
                Poll::Ready(Err(Error::new(&catalogue::SHUTTING_DOWN)
                    .with("reason", "the drain deadline passed")))
            }
        }
    }
}
