//! The layer that fills in the exchange.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use pin_project_lite::pin_project;
use seaworthy_core::identity::{self, TrustedProxies};
use seaworthy_core::request_id::RequestId;
use seaworthy_core::route::RouteTable;
use seaworthy_core::trace_context::TraceContext;
use tower_layer::Layer;
use tower_service::Service;

use super::{fresh_request_id, random};
use crate::exchange::Exchange;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What is identified, and whom to believe.
#[derive(Clone, Debug)]
pub struct Config {
    /// Proxies whose `X-Forwarded-*` fields are believed.
    pub trusted: TrustedProxies,
    /// Whether requests get an id.
    pub request_id: bool,
    /// Whether requests get a trace context.
    pub trace: bool,
    /// The routes that rules and metrics go by.
    pub routes: Arc<RouteTable>,
}

/// Puts an [`Identify`] around a service.
#[derive(Clone, Debug)]
pub struct IdentifyLayer {
    config: Rc<Config>,
}

impl IdentifyLayer {
    /// Identifies as `config` says.
    pub fn new(config: Config) -> Self {
        Self {
            config: Rc::new(config),
        }
    }
}

impl<S> Layer<S> for IdentifyLayer {
    type Service = Identify<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Identify {
            inner,
            config: self.config.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Identify<S> {
    inner: S,
    config: Rc<Config>,
}

impl Config {
    fn identify(&self, exchange: &mut Exchange, headers: &HeaderMap) -> bool {
        let peer = exchange.peer.map(|peer| peer.ip());
        let believed = peer.is_none_or(|peer| self.trusted.trusts(peer.to_canonical()));
        if believed {
            let lines: smallvec::SmallVec<[&[u8]; 4]> = headers
                .get_all(X_FORWARDED_FOR)
                .into_iter()
                .map(HeaderValue::as_bytes)
                .collect();
            let client = identity::client(peer, lines.into_iter(), &self.trusted);
            exchange.client = client.ip;
            exchange.peer_trusted = client.peer_trusted;
            exchange.vouched_hops = client.hops;
        } else {
            exchange.client = peer.map(|peer| peer.to_canonical());
        }
        let mut correlated = false;
        if self.request_id {
            let given = headers.get(X_REQUEST_ID).or_else(|| {
                let alias = headers.get(X_CORRELATION_ID);
                correlated = alias.is_some();
                alias
            });
            exchange.request_id = Some(
                given
                    .and_then(|given| RequestId::accept(given.as_bytes()))
                    .unwrap_or_else(fresh_request_id),
            );
        }
        if self.trace {
            exchange.trace = Some(trace(headers));
        }
        correlated
    }
}

fn trace(headers: &HeaderMap) -> TraceContext {
    let span = random().to_le_bytes();
    let inherited = headers
        .get(TRACEPARENT)
        .and_then(|given| TraceContext::parse(given.as_bytes()));
    inherited.map_or_else(
        || {
            let mut bytes = [0_u8; 24];
            bytes[..8].copy_from_slice(&random().to_le_bytes());
            bytes[8..16].copy_from_slice(&random().to_le_bytes());
            bytes[16..].copy_from_slice(&span);
            TraceContext::new(bytes, true)
        },
        |inherited| inherited.child(span),
    )
}

impl<S, B, R> Service<Request<B>> for Identify<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let mut request_id = None;
        let mut correlated = false;
        if let Some(exchange) = parts.extensions.get_mut::<Exchange>() {
            correlated = self.config.identify(exchange, &parts.headers);
            if !self.config.routes.is_empty() {
                exchange.route = self
                    .config
                    .routes
                    .find(parts.method.as_str(), parts.uri.path());
            }
            request_id.clone_from(&exchange.request_id);
        }
        ResponseFuture {
            future: self.inner.call(Request::from_parts(parts, body)),
            request_id,
            correlated,
        }
    }
}

pin_project! {
    /// Ends with the answer, under its id.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        request_id: Option<RequestId>,
        correlated: bool,
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
        if let Some(value) = this
            .request_id
            .as_ref()
            .and_then(|id| HeaderValue::from_str(id.as_str()).ok())
        {
            if *this.correlated {
                response
                    .headers_mut()
                    .insert(X_CORRELATION_ID, value.clone());
            }
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
        Poll::Ready(Ok(response))
    }
}
