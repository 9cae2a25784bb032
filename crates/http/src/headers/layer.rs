//! The layer that dresses answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderName, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::Set;
use crate::exchange::Exchange;
use crate::overlay::Overlay;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Puts a [`Headers`] around a service.
#[derive(Clone, Debug)]
pub struct HeadersLayer(Arc<[Set]>);

impl HeadersLayer {
    /// One set for each route, the first for requests without one.
    pub fn new(sets: Arc<[Set]>) -> Self {
        Self(sets)
    }
}

impl<S> Layer<S> for HeadersLayer {
    type Service = Headers<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Headers {
            inner,
            sets: self.0.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Headers<S> {
    inner: S,
    sets: Arc<[Set]>,
}

impl<S, B, R> Service<Request<B>> for Headers<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let exchange = request.extensions().get::<Exchange>();
        let route = exchange.map_or(0, |exchange| usize::from(exchange.route.0));
        let dresses = self.sets.get(route).is_some_and(|set| !set.is_empty());
        let secure =
            dresses && exchange.is_some_and(|exchange| is_secure(exchange, request.headers()));
        let dressing = dresses.then(|| Dressing {
            sets: self.sets.clone(),
            route,
            secure,
            overlay: exchange.and_then(|exchange| exchange.overlay.clone()),
        });
        ResponseFuture {
            future: self.inner.call(request),
            dressing,
        }
    }
}

/// Whether the client came by TLS: to us, or to a proxy that is trusted to say so.
fn is_secure(exchange: &Exchange, headers: &HeaderMap) -> bool {
    let forwarded = || {
        headers
            .get(X_FORWARDED_PROTO)
            .is_some_and(|scheme| scheme == "https")
    };
    exchange.secure || (exchange.peer_trusted && forwarded())
}

/// What an answer will bear.
#[derive(Debug)]
struct Dressing {
    sets: Arc<[Set]>,
    route: usize,
    secure: bool,
    overlay: Option<Overlay>,
}

impl Dressing {
    fn apply(&self, headers: &mut HeaderMap) {
        let Some(set) = self.sets.get(self.route) else {
            return;
        };
        match &self.overlay {
            Some(overlay) => set.lay(&mut overlay.lines(), headers, self.secure),
            None => set.apply(headers, self.secure),
        }
    }
}

pin_project! {
    /// Ends with the answer, dressed.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        dressing: Option<Dressing>,
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        // The head of a switched protocol is part of its handshake.
        if let Some(dressing) = this.dressing
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            dressing.apply(response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}
