//! HTTP/2, by hyper.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tower_service::Service;

use super::stream::{Rewind, Stream};
use super::{Edge, Peer};
use crate::body::RequestBody;
use crate::drain::Phase;
use crate::error::BodyError;
use crate::exchange::Exchange;

/// Streams of one connection at once: what Envoy's edge advice and nginx's default lie around.
const STREAMS: u32 = 128;
/// Streams that a client opened and reset before they were served; more is the "rapid reset" attack.
const RESETS: usize = 50;

/// Serves HTTP/2 on `stream` until either side is done with it.
pub async fn serve_http2<S, Svc, B>(stream: Rewind<S>, peer: Peer, edge: Rc<Edge>, service: Svc)
where
    S: Stream,
    Svc:
        Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + 'static,
    Svc::Future: 'static,
    B: Body<Data = Bytes, Error = BodyError> + 'static,
{
    let list = u32::try_from(edge.limits.head).unwrap_or(u32::MAX);
    let adapter = Adapter { service, peer };
    let mut builder = hyper::server::conn::http2::Builder::new(LocalExecutor);
    let connection = builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(list)
        .max_pending_accept_reset_streams(RESETS)
        .keep_alive_interval(Some(edge.idle))
        .keep_alive_timeout(Duration::from_secs(20))
        .serve_connection(TokioIo::new(stream), adapter);
    let mut connection = pin!(connection);
    let mut listener = edge.drain.listen();
    let mut told = false;
    let mut last = edge.timer.alarm();
    poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let phase = listener.poll_phase(cx);
        if phase != Phase::Serving && !std::mem::replace(&mut told, true) {
            connection.as_mut().graceful_shutdown();
            cx.waker().wake_by_ref();
        }
        if phase == Phase::Cut {
            last.set(Duration::from_secs(1));
            return last.poll_due(cx);
        }
        Poll::Pending
    })
    .await;
}

/// Runs hyper's streams on the worker's own thread.
#[derive(Clone, Copy, Debug)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// Makes hyper's requests the edge's.
struct Adapter<Svc> {
    service: Svc,
    peer: Peer,
}

impl<Svc, B> hyper::service::Service<Request<Incoming>> for Adapter<Svc>
where
    Svc: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Svc::Future;

    fn call(&self, request: Request<Incoming>) -> Svc::Future {
        let mut request = request.map(|body| {
            if body.is_end_stream() {
                RequestBody::Empty
            } else {
                RequestBody::Http2(body)
            }
        });
        request.extensions_mut().insert(Exchange::new(
            Instant::now(),
            self.peer.address,
            self.peer.secure,
        ));
        let authority = request
            .uri()
            .authority()
            .and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        if let Some(authority) = authority {
            request.headers_mut().insert(header::HOST, authority);
        }
        join_cookies(request.headers_mut());
        let mut service = self.service.clone();
        // The stack is always ready: what could make a caller wait is decided inside `call`.
        let ready = service.poll_ready(&mut Context::from_waker(std::task::Waker::noop()));
        debug_assert!(ready.is_ready());
        service.call(request)
    }
}

/// HTTP/2 lets a client split `Cookie` for compression; HTTP/1.1 knows one line only (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).into_iter();
    let Some(first) = crumbs.next() else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for crumb in crumbs {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    // Parts that were values, joined by text that may stand in one, are a value.
    if let Ok(joined) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        headers.insert(header::COOKIE, joined);
    }
}
