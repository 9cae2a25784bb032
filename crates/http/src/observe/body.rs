//! The record of an exchange, and the body that completes it.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::request_id::RequestId;
use seaworthy_core::route::RouteId;
use seaworthy_core::trace_context::TraceContext;

use crate::error::BodyError;
use crate::exchange::{Exchange, Failure, Viewed};

/// What is known of an exchange so far. Dropping it is the end of the exchange.
pub struct Record<O: Observer> {
    observer: O,
    method: Method,
    uri: Uri,
    version: Version,
    known: Option<Known>,
    user_agent: Option<HeaderValue>,
    bytes_in: u64,
    bytes_out: u64,
    status: Option<StatusCode>,
    first_byte: Option<Duration>,
    error: Option<&'static str>,
    complete: bool,
    view: bool,
}

/// What of the context is told in the end.
struct Known {
    started: Instant,
    route: RouteId,
    client: Option<IpAddr>,
    request_id: Option<RequestId>,
    trace: Option<TraceContext>,
}

impl Known {
    fn of(exchange: &Exchange) -> Self {
        Self {
            started: exchange.started,
            route: exchange.route,
            client: exchange.client,
            request_id: exchange.request_id.clone(),
            trace: exchange.trace,
        }
    }
}

impl<O: Observer> Record<O> {
    pub(super) fn begin<B: Body>(observer: O, request: &Request<B>) -> Box<Self> {
        observer.started();
        Box::new(Self {
            observer,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            known: request.extensions().get::<Exchange>().map(Known::of),
            user_agent: request.headers().get(header::USER_AGENT).cloned(),
            bytes_in: request.body().size_hint().exact().unwrap_or_default(),
            bytes_out: 0,
            status: None,
            first_byte: None,
            error: None,
            complete: false,
            view: false,
        })
    }

    pub(super) fn answered<R>(&mut self, response: &Response<R>) {
        self.status = Some(response.status());
        self.first_byte = self.known.as_ref().map(|known| known.started.elapsed());
        let extensions = response.extensions();
        self.error = extensions.get::<Failure>().map(|failure| failure.0.name);
        self.view = extensions.get::<Viewed>().is_some();
        self.complete = self.method == Method::HEAD
            || matches!(
                response.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
    }
}

impl<O: Observer> Drop for Record<O> {
    fn drop(&mut self) {
        let known = self.known.as_ref();
        self.observer.finished(&Finished {
            method: self.method.as_str(),
            path: self.uri.path(),
            version: match self.version {
                Version::HTTP_2 => "HTTP/2",
                Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            route: known.map(|known| known.route).unwrap_or_default(),
            // 499 is what proxies have called a client that left before its answer since nginx.
            status: self.status.map_or(499, |status| status.as_u16()),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration: known
                .map(|known| known.started.elapsed())
                .unwrap_or_default(),
            first_byte: self.first_byte,
            client: known.and_then(|known| known.client),
            request_id: known
                .and_then(|known| known.request_id.as_ref())
                .map_or(b"", RequestId::as_bytes),
            trace: known.and_then(|known| known.trace),
            user_agent: self.user_agent.as_ref().map(HeaderValue::as_bytes),
            error: self.error,
            cut: !self.complete,
            view: self.view,
        });
    }
}

impl<O: Observer> fmt::Debug for Record<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("method", &self.method)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// Counts what passes and completes the record.
    #[derive(Debug)]
    pub struct ObservedBody<B, O: Observer> {
        #[pin]
        inner: B,
        record: Option<Box<Record<O>>>,
    }
}

impl<B: Body, O: Observer> ObservedBody<B, O> {
    pub(super) fn new(inner: B, mut record: Option<Box<Record<O>>>) -> Self {
        if let Some(record) = record.as_mut().filter(|_| inner.is_end_stream()) {
            record.complete = true;
        }
        Self { inner, record }
    }
}

impl<B, O> Body for ObservedBody<B, O>
where
    O: Observer,
    B: Body<Data = Bytes, Error = BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        if let Some(record) = this.record {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => {
                    record.bytes_out += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(None) => record.complete = true,
                Poll::Ready(Some(Err(_))) | Poll::Pending => {}
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
