//! The edge: connections of clients in, `http::Request`s to a `tower::Service` out.
//!
//! HTTP/1 is driven here and not by hyper, because hyper neither refuses a length beside chunks nor closes after it,
//! cannot pass on 103, and costs three times the instructions. HTTP/2 is hyper's. Both call the same service, which
//! never knows the difference; the edge can be replaced without touching a layer.
//!
//! One task owns a connection and the exchange on it, from the first byte of the request to the last of the answer: a
//! wake-up of another task would cost more than the work. It does not decide anything about a request beyond its
//! framing; that is what layers are for.

mod connection;
mod encode;
mod head;
mod http2;
mod io;
mod sniff;
mod stream;

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

pub use connection::serve_http1;
pub use head::{Head, Heads, Limits, Reject};
pub use http2::serve_http2;
pub use sniff::{Protocol, sniff};
pub use stream::{Rewind, Stream};

use std::convert::Infallible;
use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;
use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::route::RouteId;
use tower_service::Service;

use crate::body::RequestBody;
use crate::drain::{Drain, Phase};
use crate::error::{BodyError, Error};
use crate::fault;
use crate::identify::fresh_request_id;
use crate::rescue::Format;
use crate::timer::SweepTimer;

/// What every connection of a listener shares.
pub struct Edge {
    /// Sizes and counts of a head.
    pub limits: Limits,
    /// The head must be complete after this long.
    pub header_timeout: Duration,
    /// A connection between two requests is closed after this long.
    pub idle: Duration,
    /// A request body, or a client that reads, must move within this long.
    pub stall: Duration,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
    /// How errors of the edge's own are written.
    pub format: Format,
    /// The worker's timer.
    pub timer: SweepTimer,
    /// The worker's part in a shutdown.
    pub drain: Drain,
    /// Hears of requests that never reached the service.
    pub observer: Rc<dyn Observer>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address; `None` for a unix socket.
    pub address: Option<SocketAddr>,
    /// Whether it is encrypted.
    pub secure: bool,
}

/// Serves whatever the client speaks.
pub async fn serve<S, Svc, B>(mut stream: S, peer: Peer, edge: Rc<Edge>, service: Svc)
where
    S: Stream,
    Svc:
        Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + 'static,
    Svc::Future: 'static,
    B: Body<Data = Bytes, Error = BodyError> + 'static,
{
    let mut first = BytesMut::with_capacity(8 * 1024);
    let mut alarm = edge.timer.alarm();
    alarm.set(edge.header_timeout);
    let mut listener = edge.drain.listen();
    let protocol = poll_fn(|cx| {
        loop {
            match sniff(&first) {
                Protocol::Unknown => {}
                known => return Poll::Ready(Some(known)),
            }
            match tokio_util::io::poll_read_buf(Pin::new(&mut stream), cx, &mut first) {
                Poll::Ready(Ok(read)) if read > 0 => {}
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        let over = alarm.poll_due(cx).is_ready() || listener.poll_phase(cx) == Phase::Cut;
        if over {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    })
    .await;
    drop((alarm, listener));
    match protocol {
        Some(Protocol::Http2) if edge.http2 => {
            serve_http2(Rewind::new(first, stream), peer, edge, service).await
        }
        Some(_) => serve_http1(stream, first, peer, edge, service).await,
        None => {}
    }
}

impl Edge {
    /// The answer to a head that cannot be served, reported to the observer.
    fn refusal(&self, reject: &Reject, peer: Peer) -> Response<Bytes> {
        let request_id = fresh_request_id(Instant::now());
        let error = Error::new(reject.kind).with("reason", reject.reason);
        fault::rejected_head(&error, &request_id, peer.address);
        let response = self.format.render(&error, Some(request_id.as_str()));
        self.observer.started();
        self.observer.finished(&Finished {
            method: "-",
            path: "-",
            version: "HTTP/1.1",
            route: RouteId::UNMATCHED,
            status: reject.kind.status,
            bytes_in: 0,
            bytes_out: response.body().len() as u64,
            duration: Duration::ZERO,
            first_byte: None,
            client: peer.address.map(|address| address.ip().to_canonical()),
            request_id: request_id.as_bytes(),
            trace: None,
            user_agent: None,
            error: Some(reject.kind.name),
            cut: false,
            view: false,
        });
        response
    }
}
