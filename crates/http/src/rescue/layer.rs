//! The layer that answers for the layers below it.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response, header};
use pin_project_lite::pin_project;
use seaworthy_core::catalogue;
use seaworthy_core::ledger::Fault;
use seaworthy_core::request_id::RequestId;
use tower_layer::Layer;
use tower_service::Service;

use super::Format;
use crate::body::ResponseBody;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::fault;
use crate::media::is_json;

/// Puts a [`Rescue`] around a service.
#[derive(Clone, Copy, Debug)]
pub struct RescueLayer<W = ()> {
    format: Format,
    wraps: bool,
    watch: W,
}

impl Default for RescueLayer {
    fn default() -> Self {
        Self::new(Format::default())
    }
}

impl RescueLayer {
    /// Answers errors in `format`.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            wraps: false,
            watch: (),
        }
    }

    /// Tells `watch` of every answer that is a failure, whoever made it.
    pub fn watched<W: Watch>(self, watch: W) -> RescueLayer<W> {
        RescueLayer {
            format: self.format,
            wraps: self.wraps,
            watch,
        }
    }
}

impl<W> RescueLayer<W> {
    /// Whether answers of 500 and above that are no JSON are put into the same format, under their own status.
    pub fn wrapping(self, wraps: bool) -> Self {
        Self { wraps, ..self }
    }
}

impl<S, W: Clone> Layer<S> for RescueLayer<W> {
    type Service = Rescue<S, W>;

    fn layer(&self, inner: S) -> Self::Service {
        Rescue {
            inner,
            format: self.format,
            wraps: self.wraps,
            watch: self.watch.clone(),
        }
    }
}

/// Is told of answers that are failures: those of 500 and above. What goes well costs one comparison.
pub trait Watch {
    /// One has come, ours or the app's. Called where requests are carried, so it must never block.
    fn failed(&self, fault: Fault);
}

impl Watch for () {
    fn failed(&self, _: Fault) {}
}

impl<W: Watch + ?Sized> Watch for Rc<W> {
    fn failed(&self, fault: Fault) {
        W::failed(self, fault);
    }
}

impl<W: Watch + ?Sized> Watch for Arc<W> {
    fn failed(&self, fault: Fault) {
        W::failed(self, fault);
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Rescue<S, W = ()> {
    inner: S,
    format: Format,
    wraps: bool,
    watch: W,
}

impl<S, B, R, W> Service<Request<B>> for Rescue<S, W>
where
    W: Watch + Clone,
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future, W>;

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
            wraps: self.wraps,
            watch: self.watch.clone(),
            request_id,
        }
    }
}

pin_project! {
    /// Ends with an answer, always.
    #[derive(Debug)]
    pub struct ResponseFuture<F, W = ()> {
        #[pin]
        future: F,
        format: Format,
        wraps: bool,
        watch: W,
        request_id: Option<RequestId>,
    }
}

impl<F, R, W> Future for ResponseFuture<F, W>
where
    W: Watch,
    F: Future<Output = Result<Response<R>, Error>>,
{
    type Output = Result<Response<ResponseBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let error = match ready!(this.future.poll(cx)) {
            Ok(response) => {
                if response.status().is_server_error() {
                    this.watch.failed(Fault::Status(response.status().as_u16()));
                    if *this.wraps && !speaks_json(&response) {
                        let wrapped = wrap(&response);
                        let request_id = this.request_id.as_ref().map(RequestId::as_str);
                        let answer = this.format.render(&wrapped, request_id);
                        return Poll::Ready(Ok(answer.map(ResponseBody::from)));
                    }
                }
                return Poll::Ready(Ok(response.map(ResponseBody::inner)));
            }
            Err(error) => error,
        };
        if error.kind().status >= 500 {
            this.watch.failed(Fault::Named(error.kind().name));
        }
        fault::tell(&error, this.request_id.as_ref());
        let request_id = this.request_id.as_ref().map(RequestId::as_str);
        let answer = this.format.render(&error, request_id);
        Poll::Ready(Ok(answer.map(ResponseBody::from)))
    }
}

fn speaks_json<R>(response: &Response<R>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(is_json)
}

/// The app's failure in our words: its status and when to come back are its own, and of its page nothing is left.
fn wrap<R>(response: &Response<R>) -> Error {
    let error = Error::new(&catalogue::APP_FAILED).status(response.status());
    match response.headers().get(header::RETRY_AFTER) {
        Some(after) => error.header(header::RETRY_AFTER, after.clone()),
        None => error,
    }
}
