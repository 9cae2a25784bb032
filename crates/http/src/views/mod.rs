//! Mounts views (probes, metrics) in front of the app.
//!
//! A view is answered here or not at all: before drain, limits and queues, from whatever the product's [`Views`] has at
//! hand, without waiting. What it answers is marked, so that probes do not fill the access log. A view that wants the
//! app's own answer as well (`merge`) is not this layer's; it passes and the product's own service does the rest.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::exchange::Viewed;

/// What is mounted.
pub trait Views {
    /// The answer for this request, or `None` when it is the app's.
    fn answer<B>(&self, request: &Request<B>) -> Option<Response<Bytes>>;
}

impl<V: Views> Views for Rc<V> {
    fn answer<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        V::answer(self, request)
    }
}

impl<V: Views> Views for Arc<V> {
    fn answer<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        V::answer(self, request)
    }
}

/// Puts a [`Mount`] in front of a service.
#[derive(Clone)]
pub struct MountLayer<V>(V);

impl<V> MountLayer<V> {
    /// Mounts `views`.
    pub fn new(views: V) -> Self {
        Self(views)
    }
}

impl<V> std::fmt::Debug for MountLayer<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MountLayer")
    }
}

impl<S, V: Clone> Layer<S> for MountLayer<V> {
    type Service = Mount<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        Mount {
            inner,
            views: self.0.clone(),
        }
    }
}

/// See the [module documentation](self).
#[derive(Clone)]
pub struct Mount<S, V> {
    inner: S,
    views: V,
}

impl<S: std::fmt::Debug, V> std::fmt::Debug for Mount<S, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, V, B, R> Service<Request<B>> for Mount<S, V>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    V: Views,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(mut answer) = self.views.answer(&request) {
            answer.extensions_mut().insert(Viewed);
            return ResponseFuture {
                state: State::View {
                    answer: Some(Box::new(answer.map(R::from))),
                },
            };
        }
        ResponseFuture {
            state: State::App {
                future: self.inner.call(request),
            },
        }
    }
}

pin_project! {
    /// A view's answer at once, or the app's in time.
    #[derive(Debug)]
    pub struct ResponseFuture<F, R> {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum State<F, R> {
        // Boxed: the app's future is smaller, and is handed through every layer above.
        View { answer: Option<Box<Response<R>>> },
        App { #[pin] future: F },
    }
}

impl<F, R> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<R>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::View { answer } => answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(*answer))),
            Projected::App { future } => future.poll(cx),
        }
    }
}
