//! What an outbound call goes through, top to bottom.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use seaworthy_core::clock::Clock;
use seaworthy_core::names::metric;
use seaworthy_http::attempt::AttemptLayer;
use seaworthy_http::body::ResponseBody;
use seaworthy_http::breaker::{BreakerLayer, Circuit, Circuits};
use seaworthy_http::cover::Cover;
use seaworthy_http::egress::{self, Inbound, OutboundBody};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::rescue::{Format, RescueLayer};
use seaworthy_http::retry::{Kept, RetryLayer};
use seaworthy_http::timeout::{Limits, TimedBody, TimeoutLayer};
use seaworthy_http::timer::TokioTimer;
use seaworthy_telemetry::metrics::{Histogram, Registry};
use tower::ServiceBuilder;
use tower::util::BoxCloneService;

use crate::armour::{self, Repeats, Service};
use crate::config::Egress;

/// The bottom of the stack.
pub(super) type Outbound = egress::Outbound<Kept<Inbound>>;
/// The body of an answer.
pub(super) type Body = ResponseBody<TimedBody<OutboundBody, TokioTimer>>;
/// All of it. Boxed, because an outbound call is slow enough for that.
pub(super) type Stack = BoxCloneService<Request<Inbound>, Response<Body>, Infallible>;

/// Puts the layers above `outbound`.
pub(super) fn build(
    one: &Egress,
    circuit: Option<Arc<Circuit>>,
    clock: Clock,
    registry: &Registry,
    format: Format,
    errors: Arc<Service>,
    outbound: Outbound,
) -> Stack {
    let limits = Limits {
        response: one.timeout.get().map(|limit| limit.get()),
        ..Limits::default()
    };
    let circuits: Circuits = circuit.map_or_else(Arc::default, |one| Arc::new(Cover::all(one)));
    let plan = one.retry.as_ref().and_then(|retry| {
        let repeats = Repeats::new(&format!("egress.{}", one.name), retry, registry);
        repeats.plan(retry, armour::deadline(&limits))
    });
    let attempt = match one.attempt_timeout {
        Some(chosen) => chosen.get().map(|limit| limit.get()),
        None => armour::attempt(&limits),
    };
    BoxCloneService::new(
        ServiceBuilder::new()
            .layer(RescueLayer::new(format).watched(errors))
            .layer(TimeoutLayer::new(&[limits], TokioTimer))
            .layer(RetryLayer::new(
                [plan].into(),
                circuits.clone(),
                clock,
                TokioTimer,
            ))
            .layer(BreakerLayer::new(circuits, clock))
            .layer(AttemptLayer::new([attempt].into(), TokioTimer))
            .service(outbound),
    )
}

/// The request with what the layers want to know of it.
pub(super) fn named(request: Request<Incoming>, peer: SocketAddr) -> Request<Inbound> {
    let mut request = request.map(Inbound);
    let exchange = Exchange::new(Instant::now(), Some(peer), false);
    request.extensions_mut().insert(exchange);
    request
}

/// Counts what calls came to.
#[derive(Clone)]
pub(super) struct Counted {
    name: Arc<str>,
    registry: Arc<Registry>,
    seconds: Histogram,
}

impl Counted {
    pub(super) fn new(name: &str, registry: &Arc<Registry>) -> Self {
        Self {
            name: name.into(),
            registry: registry.clone(),
            seconds: registry.histogram(&metric::EGRESS_SECONDS, &[name]),
        }
    }

    pub(super) fn ended(&self, status: StatusCode, took: Duration) {
        let labels = [&*self.name, status.as_str()];
        self.registry
            .counter(&metric::EGRESS_REQUESTS, &labels)
            .inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
