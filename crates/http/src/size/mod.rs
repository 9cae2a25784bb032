//! Refuses bodies that are larger than their route allows: at once when the length is announced, otherwise before the app
//! has been sent more than the limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use seaworthy_core::catalogue;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::Tunnel;
use crate::error::{BodyError, Error};
use crate::exchange::Exchange;
use crate::gated::Gated;

/// The limit of each route, in bytes; `None` is no limit. The first is that of requests without a route.
pub type Limits = Arc<[Option<u64>]>;

/// Puts a [`LimitSize`] around a service.
#[derive(Clone, Debug)]
pub struct LimitSizeLayer {
    limits: Limits,
}

impl LimitSizeLayer {
    /// Limits every route as `limits` says.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl<S> Layer<S> for LimitSizeLayer {
    type Service = LimitSize<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitSize {
            inner,
            limits: self.limits.clone(),
        }
    }
}

/// See the [module documentation](self).
#[derive(Clone, Debug)]
pub struct LimitSize<S> {
    inner: S,
    limits: Limits,
}

impl<S, B> Service<Request<B>> for LimitSize<S>
where
    B: Body,
    S: Service<Request<Limited<B>>, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = Gated<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let route = Exchange::route_among(request.extensions(), &self.limits);
        let limit = self.limits.get(usize::from(route.0)).copied().flatten();
        if let Some(limit) = limit.filter(|limit| request.body().size_hint().lower() > *limit) {
            let error = Error::new(&catalogue::PAYLOAD_TOO_LARGE).with("limit_bytes", limit);
            return Gated::refused(error);
        }
        let request = request.map(|inner| Limited {
            inner,
            limit,
            left: limit,
        });
        Gated::running(self.inner.call(request))
    }
}

/// A body that fails where it exceeds its limit.
#[derive(Debug)]
pub struct Limited<B> {
    inner: B,
    limit: Option<u64>,
    left: Option<u64>,
}

impl<B: Tunnel> Tunnel for Limited<B> {
    fn start_tunnel(&mut self) {
        self.left = None;
        self.inner.start_tunnel();
    }
}

impl<B> Body for Limited<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if let (Some(left), Poll::Ready(Some(Ok(frame)))) = (&mut this.left, &polled) {
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(size) {
                Some(rest) => *left = rest,
                None => {
                    return Poll::Ready(Some(Err(BodyError::TooLarge {
                        limit: this.limit.unwrap_or_default(),
                    })));
                }
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
