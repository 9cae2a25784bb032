//! The layer that lets nobody by who is not who he says.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Request;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::Auth;
use super::decide::{Begun, Verdict};
use crate::error::Error;
use crate::exchange::Exchange;

/// Puts an [`Authenticate`] around a service.
#[derive(Clone, Debug)]
pub struct AuthLayer {
    auth: Option<Arc<Auth>>,
}

impl AuthLayer {
    /// Decides as `auth` says; without one everybody passes.
    pub fn new(auth: Option<Arc<Auth>>) -> Self {
        Self { auth }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticate {
            inner,
            auth: self.auth.clone(),
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Authenticate<S> {
    inner: S,
    auth: Option<Arc<Auth>>,
}

impl<S, B> Service<Request<B>> for Authenticate<S>
where
    S: Service<Request<B>, Error = Error> + Clone,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let begun = match &self.auth {
            None => Begun::Decided(Ok(None)),
            Some(auth) => {
                auth.cleanse(&mut request);
                auth.begin(&request)
            }
        };
        let state = match begun {
            Begun::Decided(Ok(principal)) => {
                note(&mut request, principal);
                State::Running {
                    future: self.inner.call(request),
                }
            }
            Begun::Decided(Err(error)) => State::refused(error),
            Begun::Waits(waiting) => {
                // The one that was ready goes with the request, or its readiness would be lost.
                let clone = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, clone);
                State::Waiting {
                    verdict: Box::pin(waiting.finish()),
                    parts: Some(Box::new((inner, request))),
                }
            }
        };
        ResponseFuture { state }
    }
}

fn note<B>(
    request: &mut Request<B>,
    principal: Option<std::sync::Arc<seaworthy_core::principal::Principal>>,
) {
    if principal.is_some()
        && let Some(exchange) = request.extensions_mut().get_mut::<Exchange>()
    {
        exchange.principal = principal;
    }
}

pin_project! {
    /// Ends with the answer, or with a refusal.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

impl<S: Service<Request<B>>, B> std::fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, B, F> {
        // Boxed, as the parts are: they are larger than the future of a request that need not wait.
        Refused { error: Option<Box<Error>> },
        Waiting {
            verdict: Pin<Box<dyn Future<Output = Verdict> + Send>>,
            parts: Option<Box<(S, Request<B>)>>,
        },
        Running { #[pin] future: F },
    }
}

impl<S, B, F> State<S, B, F> {
    fn refused(error: Error) -> Self {
        Self::Refused {
            error: Some(Box::new(error)),
        }
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Error = Error>,
{
    type Output = Result<S::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projected::Refused { error } => {
                    return error
                        .take()
                        .map_or(Poll::Pending, |error| Poll::Ready(Err(*error)));
                }
                Projected::Running { future } => return future.poll(cx),
                Projected::Waiting { verdict, parts } => {
                    let verdict = ready!(verdict.as_mut().poll(cx));
                    match (verdict, parts.take()) {
                        (Ok(principal), Some(parts)) => {
                            let (mut inner, mut request) = *parts;
                            note(&mut request, principal);
                            State::Running {
                                future: inner.call(request),
                            }
                        }
                        (Err(error), _) => State::refused(error),
                        (Ok(_), None) => return Poll::Pending,
                    }
                }
            };
            state.set(next);
        }
    }
}
