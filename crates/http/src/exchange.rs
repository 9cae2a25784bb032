//! What the edge knows of a request besides its head: one extension, filled in from the top of the stack to the bottom.
//!
//! It is one struct because every extension costs an allocation and a hash. It is `Send + Sync`, as extensions must be,
//! although the edge that makes it is not.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use http::{Extensions, HeaderMap, StatusCode};
use seaworthy_core::catalogue::ErrorType;
use seaworthy_core::principal::Principal;
use seaworthy_core::request_id::RequestId;
use seaworthy_core::route::RouteId;
use seaworthy_core::trace_context::TraceContext;

use crate::overlay::Overlay;

/// The context of one request.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When the head was complete: the one clock reading that every layer uses.
    pub started: Instant,
    /// The peer of the connection; `None` for a unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether the request came over TLS.
    pub secure: bool,
    /// The client, as far as trusted proxies vouch for it. `None` until identified, or behind a unix socket.
    pub client: Option<IpAddr>,
    /// The peer is a trusted proxy, whose forwarding fields are believed.
    pub peer_trusted: bool,
    /// So many entries of `X-Forwarded-For`, counted from the right, are vouched for by trusted proxies.
    pub vouched_hops: usize,
    /// The id under which logs, errors and the app know this request.
    pub request_id: Option<RequestId>,
    /// The trace that this request belongs to, with our own span.
    pub trace: Option<TraceContext>,
    /// Who makes the request, if anybody vouched for one.
    pub principal: Option<Arc<Principal>>,
    /// The route whose rules apply.
    pub route: RouteId,
    /// The client asked to switch protocols, and the edge can.
    pub upgrade: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Where informational answers go.
    pub interim: Option<Interim>,
    /// The drain whose changes poll the exchange again, where the edge sees to that.
    pub heard: Option<DrainId>,
    /// What takes fields of the answer past the map, where the edge writes heads itself.
    pub overlay: Option<Overlay>,
}

impl Exchange {
    /// A context that holds nothing yet.
    pub fn new(started: Instant, peer: Option<SocketAddr>, secure: bool) -> Self {
        Self {
            started,
            peer,
            secure,
            client: None,
            peer_trusted: false,
            vouched_hops: 0,
            request_id: None,
            trace: None,
            principal: None,
            route: RouteId::UNMATCHED,
            upgrade: false,
            expects_continue: false,
            interim: None,
            heard: None,
            overlay: None,
        }
    }

    /// The route of the request that these extensions are of.
    pub fn route_of(extensions: &Extensions) -> RouteId {
        let exchange = extensions.get::<Self>();
        exchange.map(|exchange| exchange.route).unwrap_or_default()
    }

    /// The same, to choose one of `rules` by: the first is that of requests without a route. Where there is no choice, nobody
    /// looks, which costs as much as many a layer does besides.
    pub fn route_among<T>(extensions: &Extensions, rules: &[T]) -> RouteId {
        if rules.len() < 2 {
            return RouteId::UNMATCHED;
        }
        Self::route_of(extensions)
    }

    /// Whether the client has seen an informational answer other than `100 Continue`.
    pub fn has_informed(&self) -> bool {
        self.interim.as_ref().is_some_and(Interim::has_informed)
    }
}

/// Tells drains apart while they live; [`Drain::id`](crate::drain::Drain::id) gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainId(pub(crate) usize);

/// Marks a response that Seaworthy made itself, with the entry of the catalogue it stands for.
#[derive(Clone, Copy, Debug)]
pub struct Failure(pub &'static ErrorType);

/// Marks a response that a mounted view answered; such requests stay out of the access log when they succeed.
#[derive(Clone, Copy, Debug)]
pub struct Viewed;

/// The way of informational (1xx) answers to the client, past every layer that only knows final ones.
#[derive(Clone, Debug, Default)]
pub struct Interim(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    heads: VecDeque<(StatusCode, HeaderMap)>,
    waker: Option<Waker>,
    informed: bool,
}

impl Interim {
    /// More than this many unwritten informational answers are an attack or a loop; further ones are dropped.
    const MOST: usize = 16;

    /// Hands an informational answer to the edge. Returns whether there was room.
    pub fn send(&self, status: StatusCode, headers: HeaderMap) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.heads.len() >= Self::MOST {
            return false;
        }
        waiting.informed |= status != StatusCode::CONTINUE;
        waiting.heads.push_back((status, headers));
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
        true
    }

    fn has_informed(&self) -> bool {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.informed
    }

    /// Takes the next informational answer, or leaves the waker of `cx` to be told of one.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Option<(StatusCode, HeaderMap)> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.heads.pop_front();
        if next.is_none()
            && !waiting
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            waiting.waker = Some(cx.waker().clone());
        }
        next
    }

    /// Takes the next informational answer when nothing more will be waited for.
    pub(crate) fn next(&self) -> Option<(StatusCode, HeaderMap)> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.heads.pop_front()
    }
}
