//! The layer that answers for the layers below it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use seaworthy_core::request_id::RequestId;
use tower_layer::Layer;
use tower_service::Service;

use super::Format;
use crate::body::ResponseBody;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::fault;

/// Puts a [`Rescue`] around a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct RescueLayer {
    format: Format,
}

impl RescueLayer {
    /// Answers errors in `format`.
    pub fn new(format: Format) -> Self {
        Self { format }
    }
}

impl<S> Layer<S> for RescueLayer {
    type Service = Rescue<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Rescue {
            inner,
            format: self.format,
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Rescue<S> {
    inner: S,
    format: Format,
}

impl<S, B, R> Service<Request<B>> for Rescue<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A layer that fails to become ready fails the call as well, where the failure can be answered.
        ready!(self.inner.poll_ready(cx)).ok();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request_id = request
            .extensions()
            .get::<Exchange>()
            .and_then(|exchange| exchange.request_id.clone());
        ResponseFuture {
            future: self.inner.call(request),
            format: self.format,
            request_id,
        }
    }
}

pin_project! {
    /// Ends with an answer, always.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        future: F,
        format: Format,
        request_id: Option<RequestId>,
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, Error>>,
{
    type Output = Result<Response<ResponseBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match ready!(this.future.poll(cx)) {
            Ok(response) => response.map(ResponseBody::inner),
            Err(error) => {
                fault::tell(&error, this.request_id.as_ref());
                let request_id = this.request_id.as_ref().map(RequestId::as_str);
                this.format
                    .render(&error, request_id)
                    .map(ResponseBody::from)
            }
        };
        Poll::Ready(Ok(response))
    }
}
