//! What an outbound call goes through, top to bottom.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use seaworthy_core::names::metric;
use seaworthy_core::quota::Quota;
use seaworthy_core::request_id::RequestId;
use seaworthy_http::attempt::AttemptLayer;
use seaworthy_http::body::ResponseBody;
use seaworthy_http::breaker::{BreakerLayer, Circuit, Circuits};
use seaworthy_http::cover::Cover;
use seaworthy_http::egress::{self, Inbound, OutboundBody};
use seaworthy_http::exchange::Exchange;
use seaworthy_http::limit::{
    Action, Fields, Keyed, Keys, Limits as Rates, Memory, Policy, PolicyConfig, RateLimitLayer,
    Reset, Rules,
};
use seaworthy_http::rescue::{Format, RescueLayer};
use seaworthy_http::retry::{Kept, RetryLayer};
use seaworthy_http::timeout::{Limits, TimedBody, TimeoutLayer};
use seaworthy_http::timer::TokioTimer;
use seaworthy_telemetry::metrics::{Histogram, Registry};
use tower::ServiceBuilder;
use tower::util::BoxCloneService;

use crate::armour::{self, Armour, Repeats, Service};
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
    armour: &Armour,
    registry: &Registry,
    format: Format,
    errors: Arc<Service>,
    outbound: Outbound,
) -> Stack {
    let clock = armour.clock;
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
            // A call that waits for its turn has not begun.
            .layer(RateLimitLayer::new(
                turns(one, armour, registry),
                Memory,
                TokioTimer,
            ))
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

/// How often the target may be called: one bucket, whoever calls.
fn turns(one: &Egress, armour: &Armour, registry: &Registry) -> Option<Arc<Rates>> {
    // Checked when the configuration was.
    let quota: Quota = one.limit?.quota(false).ok()??;
    let mut policy = PolicyConfig::new(&format!("egress.{}", one.name), Some(quota));
    policy.keyed = Keyed {
        parts: Box::default(),
        skips: false,
    };
    policy.max_keys = 1;
    if !one.max_delay.is_zero() {
        policy.action = Action::Delay(one.max_delay.get());
    }
    let policy = Arc::new(Policy::new(policy));
    armour::count_limits(std::slice::from_ref(&policy), registry);
    armour.calls.add(policy.clone());
    let rules = Rules {
        tiers: true,
        cost: 1,
        ..Rules::default()
    };
    Some(Arc::new(Rates {
        tiers: [policy].into(),
        policies: Box::default(),
        rules: [rules].into(),
        keys: Keys::default(),
        // What the target says of limits of its own is for the app to read.
        fields: Fields {
            x: false,
            ietf: false,
            reset: Reset::Epoch,
        },
        clock: armour.clock,
    }))
}

/// The request with what the layers want to know of it. The trace and the id are the app's own, and go on as they are.
pub(super) fn named(request: Request<Incoming>, peer: SocketAddr) -> Request<Inbound> {
    let mut request = request.map(Inbound);
    let mut exchange = Exchange::new(Instant::now(), Some(peer), false);
    let given = request.headers().get("x-request-id");
    exchange.request_id = given.and_then(|given| RequestId::accept(given.as_bytes()));
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
