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
        ResponseFuture {
            future: self.inner.call(request),
            sets: dresses.then(|| self.sets.clone()),
            route,
            secure,
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

pin_project! {
    /// Ends with the answer, dressed.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        sets: Option<Arc<[Set]>>,
        route: usize,
        secure: bool,
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
        let set = this.sets.as_ref().and_then(|sets| sets.get(*this.route));
        // The head of a switched protocol is part of its handshake.
        if let Some(set) = set.filter(|_| response.status() != StatusCode::SWITCHING_PROTOCOLS) {
            set.apply(response.headers_mut(), *this.secure);
        }
        Poll::Ready(Ok(response))
    }
}
