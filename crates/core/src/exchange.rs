//! The record of one finished exchange, and who wants to see it.
//!
//! Access log and metrics both live on this one record, filled in one place and lent out, so that they can never disagree
//! about a request and nothing is copied for them.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::route::RouteId;
use crate::trace_context::TraceContext;

/// What is known of a request when its exchange has ended, whichever way it ended.
#[derive(Debug, Clone, Copy)]
pub struct Finished<'a> {
    /// The method as the client sent it.
    pub method: &'a str,
    /// The raw path, without the query: queries carry secrets.
    pub path: &'a str,
    /// The version of HTTP that the client spoke, such as `HTTP/1.1`.
    pub version: &'static str,
    /// The route that the path matched.
    pub route: RouteId,
    /// The status that was sent to the client.
    pub status: u16,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the response's body that were sent.
    pub bytes_out: u64,
    /// From the first byte of the request's head to the last byte of the answer.
    pub duration: Duration,
    /// From the first byte of the request's head to the first byte of the answer, if there was one.
    pub first_byte: Option<Duration>,
    /// The client as [`crate::identity`] found it.
    pub client: Option<IpAddr>,
    /// The request id, which is ASCII.
    pub request_id: &'a [u8],
    /// The span that the app was given.
    pub trace: Option<TraceContext>,
    /// The `User-Agent` as it came; any bytes.
    pub user_agent: Option<&'a [u8]>,
    /// The name of the catalogue's entry when the answer was ours.
    pub error: Option<&'static str>,
    /// Whether the exchange ended before its end: the client left, the app died, a limit was hit.
    pub cut: bool,
    /// Whether a mounted view answered, such as a probe.
    pub view: bool,
}

/// Sees every exchange begin and end, on the thread of the worker that carries it; must never block.
pub trait Observer {
    /// A request's head has been read.
    fn started(&self);
    /// The exchange is over. Called exactly once for each [`Observer::started`].
    fn finished(&self, done: &Finished<'_>);
}

impl<O: Observer + ?Sized> Observer for Rc<O> {
    fn started(&self) {
        O::started(self);
    }

    fn finished(&self, done: &Finished<'_>) {
        O::finished(self, done);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn started(&self) {
        O::started(self);
    }

    fn finished(&self, done: &Finished<'_>) {
        O::finished(self, done);
    }
}
