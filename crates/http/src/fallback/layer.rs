//! The layer that answers in the app's place.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{self, HeaderValue};
use http::{Request, Response};
use pin_project_lite::pin_project;
use seaworthy_core::request_id::RequestId;
use tower_layer::Layer;
use tower_service::Service;

use super::{Cause, Document, FIELD, Fallback, Fallbacks, Toward};
use crate::body::ResponseBody;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::fault;

/// Puts a [`FallBack`] around a service.
#[derive(Clone, Debug)]
pub struct FallbackLayer {
    fallbacks: Fallbacks,
}

impl FallbackLayer {
    /// Uses the fallback that covers a request.
    pub fn new(fallbacks: Fallbacks) -> Self {
        Self { fallbacks }
    }
}

impl<S> Layer<S> for FallbackLayer {
    type Service = FallBack<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FallBack {
            inner,
            fallbacks: self.fallbacks.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct FallBack<S> {
    inner: S,
    fallbacks: Fallbacks,
}

impl<S, B, R> Service<Request<B>> for FallBack<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let route = || Exchange::route_of(request.extensions());
        let fallback = self
            .fallbacks
            .find(route, request.method(), request.uri())
            .cloned();
        let Some(fallback) = fallback else {
            return ResponseFuture {
                state: State::Asking {
                    future: self.inner.call(request),
                    aside: None,
                },
            };
        };
        let exchange = request.extensions().get::<Exchange>();
        let request_id = exchange.and_then(|exchange| exchange.request_id.clone());
        let mut aside = Aside {
            fallback,
            request_id,
        };
        let cause = aside.fallback.beforehand();
        if let Toward::App = aside.fallback.toward {
            // The app has to be able to believe the field, so a client cannot send it.
            request.headers_mut().remove(&FIELD);
            match cause {
                Some(cause) => {
                    aside.tell(cause);
                    let announced = aside.fallback.announced.clone();
                    request.headers_mut().insert(&FIELD, announced);
                }
                None => aside.fallback.served(),
            }
        } else if aside.fallback.methods.contains(request.method()) {
            if let Some(cause) = cause {
                return ResponseFuture {
                    state: State::Instead {
                        aside: Some(Box::new((aside, cause))),
                    },
                };
            }
            return ResponseFuture {
                state: State::Asking {
                    future: self.inner.call(request),
                    aside: Some(Box::new(aside)),
                },
            };
        }
        ResponseFuture {
            state: State::Asking {
                future: self.inner.call(request),
                aside: None,
            },
        }
    }
}

/// What stands by in case that the app fails.
#[derive(Debug)]
struct Aside {
    fallback: Arc<Fallback>,
    request_id: Option<RequestId>,
}

impl Aside {
    fn tell(&mut self, cause: Cause) {
        self.fallback.uses(cause);
        fault::fell_back(&self.fallback.name, cause.word(), self.request_id.as_ref());
    }

    /// The document, if there is one.
    fn answer<R>(mut self, cause: Cause) -> Option<Response<ResponseBody<R>>> {
        let fallback = self.fallback.clone();
        let Toward::Client(Document {
            status,
            headers,
            body,
        }) = &fallback.toward
        else {
            return None;
        };
        self.tell(cause);
        let mut response = Response::new(ResponseBody::from(body.clone()));
        *response.status_mut() = *status;
        response.headers_mut().clone_from(headers);
        let fields = response.headers_mut();
        fields.insert(&FIELD, fallback.announced.clone());
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        // What stands in for an answer must not outlive the trouble in somebody's cache.
        fields
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
        Some(response)
    }

    fn settle<R>(
        self,
        result: Result<Response<R>, Error>,
    ) -> Result<Response<ResponseBody<R>>, Error> {
        let cause = match &result {
            Ok(response) => self.fallback.for_status(response.status()),
            Err(error) => self.fallback.for_error(error.kind()),
        };
        match cause {
            Some(cause) => match self.answer(cause) {
                Some(answer) => Ok(answer),
                None => result.map(|response| response.map(ResponseBody::inner)),
            },
            None => {
                if result
                    .as_ref()
                    .is_ok_and(|answer| !answer.status().is_server_error())
                {
                    self.fallback.served();
                }
                result.map(|response| response.map(ResponseBody::inner))
            }
        }
    }
}

pin_project! {
    /// Ends with the app's answer, or with what takes its place.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum State<F> {
        Instead { aside: Option<Box<(Aside, Cause)>> },
        Asking { #[pin] future: F, aside: Option<Box<Aside>> },
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, Error>>,
{
    type Output = Result<Response<ResponseBody<R>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Instead { aside } => {
                let aside = aside.take().map(|aside| *aside);
                match aside.and_then(|(aside, cause)| aside.answer(cause)) {
                    Some(answer) => Poll::Ready(Ok(answer)),
                    None => Poll::Pending,
                }
            }
            Projected::Asking { future, aside } => {
                let result = ready!(future.poll(cx));
                Poll::Ready(match aside.take() {
                    Some(aside) => aside.settle(result),
                    None => result.map(|response| response.map(ResponseBody::inner)),
                })
            }
        }
    }
}
