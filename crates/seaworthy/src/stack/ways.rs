//! The two ways from the gate to the app: a short one through the layers that every file asks for, and a long one through
//! all of them.
//!
//! A layer that has nothing to do still costs its share of copying requests, futures and answers from one layer to the next,
//! and most files ask nothing of half of them. Which way is taken is a matter of the configuration and never of a request, so
//! that rules cannot be got around. The long way's body is boxed: it would make every body of the short one larger, and who takes
//! it pays for more than an allocation.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use seaworthy_http::error::{BodyError, Error};
use tower::Service;

/// See the [module documentation](self).
#[derive(Clone, Debug)]
pub(super) enum Ways<S, L> {
    /// Through what every file asks for.
    Short(S),
    /// Through everything.
    Long(L),
}

impl<S, L, B, P, Q> Service<Request<B>> for Ways<S, L>
where
    S: Service<Request<B>, Response = Response<P>, Error = Error>,
    L: Service<Request<B>, Response = Response<Q>, Error = Error, Future: 'static>,
    Q: Body<Data = Bytes, Error = BodyError> + 'static,
{
    type Response = Response<WayBody<P>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future, Q>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::Short(service) => service.poll_ready(cx),
            Self::Long(service) => service.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self {
            Self::Short(service) => ResponseFuture::Short(Box::pin(service.call(request))),
            Self::Long(service) => ResponseFuture::Long(Box::pin(service.call(request))),
        }
    }
}

/// Ends with the answer of the way that was taken.
pub(super) enum ResponseFuture<F, Q> {
    /// The short one. Boxed as well, because it is larger than all above it, through which it is handed.
    Short(Pin<Box<F>>),
    /// The long one.
    Long(Pin<Box<dyn Future<Output = Result<Response<Q>, Error>>>>),
}

impl<F, Q> std::fmt::Debug for ResponseFuture<F, Q> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, P, Q> Future for ResponseFuture<F, Q>
where
    F: Future<Output = Result<Response<P>, Error>>,
    Q: Body<Data = Bytes, Error = BodyError> + 'static,
{
    type Output = Result<Response<WayBody<P>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Short(future) => future
                .as_mut()
                .poll(cx)
                .map_ok(|response| response.map(|body| WayBody::Short { body })),
            Self::Long(future) => future.as_mut().poll(cx).map_ok(|response| {
                response.map(|body| WayBody::Long {
                    body: Box::pin(body),
                })
            }),
        }
    }
}

type BoxedBody = Pin<Box<dyn Body<Data = Bytes, Error = BodyError>>>;

pin_project! {
    /// The body of an answer, whichever way it came.
    #[project = ProjectedBody]
    pub enum WayBody<P> {
        Short { #[pin] body: P },
        Long { body: BoxedBody },
    }
}

impl<P> std::fmt::Debug for WayBody<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WayBody").finish_non_exhaustive()
    }
}

impl<P: Body<Data = Bytes, Error = BodyError>> Body for WayBody<P> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.project() {
            ProjectedBody::Short { body } => body.poll_frame(cx),
            ProjectedBody::Long { body } => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Short { body } => body.is_end_stream(),
            Self::Long { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Short { body } => body.size_hint(),
            Self::Long { body } => body.size_hint(),
        }
    }
}
