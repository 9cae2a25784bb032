//! The layer that asks the breaker for leave.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{Request, Response};
use pin_project_lite::pin_project;
use seaworthy_core::breaker::{Permit, Refused};
use seaworthy_core::catalogue;
use seaworthy_core::clock::Clock;
use seaworthy_core::ledger::Fault;
use tower_layer::Layer;
use tower_service::Service;

use super::{Circuit, Circuits, is_failed, is_failure};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::gated::Gated;

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
        let route = || Exchange::route_of(request.extensions());
        let circuit = self.circuits.find(route, request.method(), request.uri());
        let Some(circuit) = circuit.cloned() else {
            return Gated::running(Judged {
                future: self.inner.call(request),
                call: None,
            });
        };
        let clock = self.clock;
        match circuit.breaker.acquire(|| clock.at(Instant::now())) {
            Ok(permit) => Gated::running(Judged {
                future: self.inner.call(request),
                call: Some(Call {
                    permit,
                    circuit,
                    clock,
                }),
            }),
            Err(refused) => Gated::refused(open(&circuit, refused, clock)),
        }
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
        let fault = match result {
            Ok(response) => {
                let status = response.status();
                is_failed(status).then(|| Fault::Status(status.as_u16()))
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

/// Ends with the answer, or at once with a refusal.
pub type ResponseFuture<F> = Gated<Judged<F>>;

pin_project! {
    /// Ends with the answer, of which the breaker is told.
    #[derive(Debug)]
    pub struct Judged<F> {
        #[pin]
        future: F,
        call: Option<Call>,
    }
}

impl<F, R> Future for Judged<F>
where
    F: Future<Output = Result<Response<R>, Error>>,
{
    type Output = Result<Response<R>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        if let Some(call) = this.call.take() {
            call.ends(&result);
        }
        Poll::Ready(result)
    }
}
