//! The layer that starts a record.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use seaworthy_core::exchange::Observer;
use tower_layer::Layer;
use tower_service::Service;

use super::body::{ObservedBody, Record};

/// Puts an [`Observe`] around a service.
#[derive(Clone)]
pub struct ObserveLayer<O> {
    observer: Option<O>,
}

impl<O: Observer> ObserveLayer<O> {
    /// Reports to `observer`; without one the layer does nothing.
    pub fn new(observer: Option<O>) -> Self {
        Self { observer }
    }
}

impl<O> fmt::Debug for ObserveLayer<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveLayer")
            .field("observes", &self.observer.is_some())
            .finish()
    }
}

impl<S, O: Clone> Layer<S> for ObserveLayer<O> {
    type Service = Observe<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe {
            inner,
            observer: self.observer.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone)]
pub struct Observe<S, O> {
    inner: S,
    observer: Option<O>,
}

impl<S: fmt::Debug, O> fmt::Debug for Observe<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observe")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B, R, O> Service<Request<B>> for Observe<S, O>
where
    O: Observer + Clone,
    B: Body,
    R: Body,
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ObservedBody<R, O>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, O>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let record = self
            .observer
            .as_ref()
            .map(|observer| Record::begin(observer.clone(), &request));
        ResponseFuture {
            future: self.inner.call(request),
            record,
        }
    }
}

pin_project! {
    /// Ends with the answer, whose body carries the record on.
    #[derive(Debug)]
    pub struct ResponseFuture<F, O: Observer> {
        #[pin]
        future: F,
        record: Option<Box<Record<O>>>,
    }
}

impl<F, R, E, O> Future for ResponseFuture<F, O>
where
    O: Observer,
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<ObservedBody<R, O>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.future.poll(cx))?;
        let mut record = this.record.take();
        if let Some(record) = &mut record {
            record.answered(&response);
        }
        Poll::Ready(Ok(response.map(|inner| ObservedBody::new(inner, record))))
    }
}
