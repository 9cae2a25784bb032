//! The layer that fills in the exchange.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use pin_project_lite::pin_project;
use seaworthy_core::identity::{self, Client, TrustedProxies};
use seaworthy_core::request_id::RequestId;
use seaworthy_core::route::{RouteId, RouteTable};
use seaworthy_core::trace_context::TraceContext;
use tower_layer::Layer;
use tower_service::Service;

use super::{fresh_request_id, random};
use crate::exchange::Exchange;
use crate::overlay::{Rule, Sink, Value};

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
    config: Arc<Config>,
}

impl IdentifyLayer {
    /// Identifies as `config` says.
    pub fn new(config: Config) -> Self {
        Self {
            config: Arc::new(config),
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
    config: Arc<Config>,
}

/// What was found out about a request; noted in its exchange in one go, because the request cannot be read meanwhile.
struct Found {
    client: Client,
    request_id: Option<RequestId>,
    correlated: bool,
    trace: Option<TraceContext>,
    route: RouteId,
}

impl Config {
    fn identify<B>(&self, request: &Request<B>, exchange: &Exchange) -> Found {
        let peer = exchange.peer.map(|peer| peer.ip().to_canonical());
        let headers = request.headers();
        let believed = peer.is_none_or(|peer| self.trusted.trusts(peer));
        let client = if believed {
            let lines: smallvec::SmallVec<[&[u8]; 4]> = headers
                .get_all(X_FORWARDED_FOR)
                .into_iter()
                .map(HeaderValue::as_bytes)
                .collect();
            identity::client(peer, lines.into_iter(), &self.trusted)
        } else {
            Client {
                ip: peer,
                hops: 0,
                peer_trusted: false,
            }
        };
        let given = Given::read(headers);
        let correlated = given.request_id.is_none() && given.correlation_id.is_some();
        let request_id = self.request_id.then(|| {
            let claimed = given.request_id.or(given.correlation_id);
            claimed
                .and_then(|claimed| RequestId::accept(claimed.as_bytes()))
                .unwrap_or_else(|| fresh_request_id(exchange.started))
        });
        Found {
            client,
            request_id,
            correlated,
            trace: self.trace.then(|| trace(given.traceparent)),
            route: self
                .routes
                .find(request.method().as_str(), request.uri().path()),
        }
    }
}

/// The names that the client gives. One pass over the fields costs less than three look-ups.
#[derive(Default)]
struct Given<'a> {
    request_id: Option<&'a HeaderValue>,
    correlation_id: Option<&'a HeaderValue>,
    traceparent: Option<&'a HeaderValue>,
}

impl<'a> Given<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let mut given = Self::default();
        for (name, value) in headers {
            // The length tells nearly every other field apart at once.
            let place = match name.as_str().len() {
                11 if *name == TRACEPARENT => &mut given.traceparent,
                12 if *name == X_REQUEST_ID => &mut given.request_id,
                16 if *name == X_CORRELATION_ID => &mut given.correlation_id,
                _ => continue,
            };
            // The first of several counts, as it does for a look-up.
            place.get_or_insert(value);
        }
        given
    }
}

fn trace(given: Option<&HeaderValue>) -> TraceContext {
    let span = random().to_le_bytes();
    let inherited = given.and_then(|given| TraceContext::parse(given.as_bytes()));
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

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let mut named = None;
        if let Some(exchange) = request.extensions().get::<Exchange>() {
            let found = self.config.identify(&request, exchange);
            if let Some(id) = &found.request_id {
                match &exchange.overlay {
                    // The answer is named before there is one, and its future need not carry the name.
                    Some(overlay) => name(&mut *overlay.lines(), id, found.correlated),
                    None => named = Some(Box::new((id.clone(), found.correlated))),
                }
            }
            if let Some(exchange) = request.extensions_mut().get_mut::<Exchange>() {
                exchange.client = found.client.ip;
                exchange.peer_trusted = found.client.peer_trusted;
                exchange.vouched_hops = found.client.hops;
                exchange.request_id = found.request_id;
                exchange.trace = found.trace;
                exchange.route = found.route;
            }
        }
        ResponseFuture {
            future: self.inner.call(request),
            named,
        }
    }
}

pin_project! {
    /// Ends with the answer, under its id.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        named: Option<Box<(RequestId, bool)>>,
    }
}

/// Names the answer as the request was named.
fn name(sink: &mut impl Sink, id: &RequestId, correlated: bool) {
    let id = Value::Text(id.as_bytes());
    if correlated {
        sink.put(Rule::Last, &X_CORRELATION_ID, id);
    }
    sink.put(Rule::Last, &X_REQUEST_ID, id);
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx))?;
        if let Some((id, correlated)) = this.named.as_deref() {
            name(response.headers_mut(), id, *correlated);
        }
        Poll::Ready(Ok(response))
    }
}
