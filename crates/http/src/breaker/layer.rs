//! The layer that asks the breaker for leave.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{Request, Response};
use pin_project_lite::pin_project;
use seaworthy_core::breaker::{Classes, Permit, Refused};
use seaworthy_core::catalogue;
use seaworthy_core::clock::Clock;
use seaworthy_core::ledger::Fault;
use tower_layer::Layer;
use tower_service::Service;

use super::{Circuit, Circuits, is_failure};
use crate::error::Error;
use crate::exchange::Exchange;

/// Puts a [`Break`] around a service.
#[derive(Clone, Debug)]
pub struct BreakerLayer {
    circuits: Circuits,
    clock: Clock,
}

impl BreakerLayer {
    /// Asks the circuit that covers a request.
    pub fn new(circuits: Circuits, clock: Clock) -> Self {
        Self { circuits, clock }
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = Break<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Break {
            inner,
            circuits: self.circuits.clone(),
            clock: self.clock,
        }
    }
}

/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Break<S> {
    inner: S,
    circuits: Circuits,
    clock: Clock,
}

impl<S, B, R> Service<Request<B>> for Break<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Error>,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let route = request
            .extensions()
            .get::<Exchange>()
            .map(|exchange| exchange.route)
            .unwrap_or_default();
        let circuit = self.circuits.find(route, request.method(), request.uri());
        let Some(circuit) = circuit.cloned() else {
            return ResponseFuture {
                state: State::Running {
                    future: self.inner.call(request),
                    call: None,
                },
            };
        };
        let clock = self.clock;
        let state = match circuit.breaker.acquire(|| clock.at(Instant::now())) {
            Ok(permit) => State::Running {
                future: self.inner.call(request),
                call: Some(Call {
                    permit,
                    circuit,
                    clock,
                }),
            },
            Err(refused) => State::Refused {
                error: Some(open(&circuit, refused, clock)),
            },
        };
        ResponseFuture { state }
    }
}

/// The error for a request that was not let through.
fn open(circuit: &Circuit, refused: Refused, clock: Clock) -> Error {
    let error = Error::new(&catalogue::CIRCUIT_OPEN).with("breaker", &*circuit.name);
    match refused.after {
        Some(after) => {
            let error = error.retry_after(clock.real(after));
            let seconds = error.retry_after_seconds().unwrap_or(1);
            error.with("retry_after", seconds)
        }
        None => error,
    }
}

/// A request that was let through and whose outcome will be told.
#[derive(Debug)]
struct Call {
    permit: Permit,
    circuit: std::sync::Arc<Circuit>,
    clock: Clock,
}

impl Call {
    fn ends<R>(self, result: &Result<Response<R>, Error>) {
        let classes: &Classes = &self.circuit.classes;
        let fault = match result {
            Ok(response) => {
                let status = response.status().as_u16();
                classes.is_failure(status).then_some(Fault::Status(status))
            }
            Err(error) if is_failure(error.kind()) => Some(Fault::Named(error.kind().name)),
            // Dropping the permit says nothing, and neither did the app.
            Err(_) => return,
        };
        let clock = self.clock;
        let now = || clock.at(Instant::now());
        if let Some(fault) = fault {
            if let Some(watch) = &self.circuit.watch {
                watch.failed(fault);
            }
            self.permit.failure(now);
        } else {
            self.permit.success(now);
        }
    }
}

pin_project! {
    /// Ends with the answer, or at once with a refusal.
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
        Refused { error: Option<Error> },
        Running { #[pin] future: F, call: Option<Call> },
    }
}

impl<F, R> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, Error>>,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Refused { error } => error
                .take()
                .map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
            Projected::Running { future, call } => {
                let result = ready!(future.poll(cx));
                if let Some(call) = call.take() {
                    call.ends(&result);
                }
                Poll::Ready(result)
            }
        }
    }
}
