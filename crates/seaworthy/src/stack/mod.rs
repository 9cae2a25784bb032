//! What a request goes through, top to bottom. The only place where the order is written.

mod ways;

use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use seaworthy_core::catalogue;
use seaworthy_core::exchange::Observer;
use seaworthy_http::abuse::{AbuseLayer, Place};
use seaworthy_http::attempt::AttemptLayer;
use seaworthy_http::auth::AuthLayer;
use seaworthy_http::ban::BanLayer;
use seaworthy_http::body::{RequestBody, ResponseBody};
use seaworthy_http::breaker::BreakerLayer;
use seaworthy_http::concurrency::{ConcurrencyLayer, PlaceBody};
use seaworthy_http::drain::{Drain, DrainBody, DrainLayer};
use seaworthy_http::error::{BodyError, Error};
use seaworthy_http::fallback::FallbackLayer;
use seaworthy_http::flags::FlagsLayer;
use seaworthy_http::headers::HeadersLayer;
use seaworthy_http::identify::IdentifyLayer;
use seaworthy_http::limit::{Chosen, RateLimitLayer};
use seaworthy_http::observe::{ObserveLayer, ObservedBody};
use seaworthy_http::rescue::RescueLayer;
use seaworthy_http::retry::RetryLayer;
use seaworthy_http::size::{LimitSizeLayer, Limited};
use seaworthy_http::timeout::{TimedBody, TimeoutLayer};
use seaworthy_http::timer::{SweepTimer, Timer};
use seaworthy_http::upstream::{Upstream, UpstreamBody};
use seaworthy_http::validate::ValidateLayer;
use seaworthy_http::views::MountLayer;
use tower::ServiceBuilder;

use crate::armour::Noted;
use crate::components::{Components, Rules};
use crate::views::{MergeLayer, Table};

use self::ways::{WayBody, Ways};

/// The body of whatever comes back.
pub type Body = ObservedBody<
    ResponseBody<DrainBody<WayBody<PlaceBody<TimedBody<FromApp, SweepTimer>>>>>,
    Rc<dyn Observer>,
>;

/// The app's answer, if nothing on the way can stand in for it.
type FromApp = UpstreamBody<Limited<RequestBody>>;

fn rescue(components: &Components) -> RescueLayer<Noted> {
    let noted = Noted::new(&components.rules.errors);
    let rescue = RescueLayer::new(components.errors).watched(noted);
    rescue.wrapping(components.wraps)
}

/// What a request goes through for which there is no room: it is named, told and counted like any other, and probes are
/// answered, because a busy instance is not a broken one.
pub fn without_room(
    components: &Components,
    observer: Option<Rc<dyn Observer>>,
    views: Rc<Table>,
) -> impl tower::Service<
    Request<RequestBody>,
    Response = Response<ObservedBody<ResponseBody<RequestBody>, Rc<dyn Observer>>>,
    Error = Infallible,
    Future: 'static,
>
+ Clone
+ 'static
+ use<> {
    ServiceBuilder::new()
        .layer(IdentifyLayer::new(components.identify.clone()))
        .layer(ObserveLayer::new(observer))
        .layer(MountLayer::new(views))
        .layer(HeadersLayer::new(components.rules.headers.clone()))
        .layer(rescue(components))
        .service_fn(|_: Request<_>| {
            let refused: Result<Response<RequestBody>, _> = Err(Error::new(&catalogue::OVERLOADED));
            std::future::ready(refused)
        })
}

/// One worker's stack over one set of components.
pub fn build(
    components: &Components,
    upstream: Upstream,
    drain: Drain,
    timer: SweepTimer,
    observer: Option<Rc<dyn Observer>>,
    views: Rc<Table>,
    buckets: Chosen,
) -> impl tower::Service<
    Request<RequestBody>,
    Response = Response<Body>,
    Error = Infallible,
    Future: 'static,
>
+ Clone
+ 'static
+ use<> {
    ServiceBuilder::new()
        // Everything below speaks of the client, the request and its route by these names.
        .layer(IdentifyLayer::new(components.identify.clone()))
        // Above whatever can refuse, so that refusals are logged and counted like answers.
        .layer(ObserveLayer::new(observer))
        // Probes are answered before anything that could refuse or delay them.
        .layer(MountLayer::new(views.clone()))
        // A view may want the app's part as well, and asks for it like any client.
        .layer(MergeLayer::new(views))
        // Refusals bear the same fields as the app's answers.
        .layer(HeadersLayer::new(components.rules.headers.clone()))
        // Errors of the layers below become answers here, and nowhere else.
        .layer(rescue(components))
        // From here on a request counts as inside, and a shutdown waits for it.
        .layer(DrainLayer::new(drain))
        .service(if components.asks_for_little() {
            Ways::Short(short(components, upstream, timer, buckets))
        } else {
            Ways::Long(long(components, upstream, timer, buckets))
        })
}

/// Through everything.
fn long(
    components: &Components,
    upstream: Upstream,
    timer: SweepTimer,
    buckets: Chosen,
) -> impl tower::Service<
    Request<RequestBody>,
    Response = Response<impl http_body::Body<Data = Bytes, Error = BodyError> + 'static + use<>>,
    Error = Error,
    Future: 'static,
>
+ Clone
+ 'static
+ use<> {
    let rules = &components.rules;
    ServiceBuilder::new()
        .layer(guards(components, buckets, timer.clone()))
        // Whatever the app cannot do, after all tries.
        .layer(FallbackLayer::new(rules.fallbacks.clone()))
        // Above the breaker, so that each try counts for itself and an open one ends the tries.
        .layer(RetryLayer::new(
            rules.retries.clone(),
            rules.circuits.clone(),
            rules.clock,
            timer.clone(),
        ))
        .layer(tries(rules, timer))
        .service(upstream)
}

/// The same without what [`Components::asks_for_little`] says that nobody asked for.
fn short(
    components: &Components,
    upstream: Upstream,
    timer: SweepTimer,
    buckets: Chosen,
) -> impl tower::Service<
    Request<RequestBody>,
    Response = Response<PlaceBody<TimedBody<FromApp, SweepTimer>>>,
    Error = Error,
    Future: 'static,
>
+ Clone
+ 'static
+ use<> {
    let (_, bans, sizes, _, _, limits, _, places, clocks, _) =
        guards(components, buckets, timer.clone());
    ServiceBuilder::new()
        .layer((bans, sizes, limits, places, clocks))
        .layer(tries(&components.rules, timer))
        .service(upstream)
}

/// What each try goes through.
fn tries(rules: &Rules, timer: SweepTimer) -> (BreakerLayer, AttemptLayer<SweepTimer>) {
    (
        // Above the time of a try, so that an app that does not answer has failed.
        BreakerLayer::new(rules.circuits.clone(), rules.clock),
        AttemptLayer::new(rules.attempts.clone(), timer),
    )
}

/// The layers of [`guards`], from the outermost to the innermost.
pub type Guards<T> = (
    AbuseLayer,
    BanLayer,
    LimitSizeLayer,
    AuthLayer,
    AbuseLayer,
    RateLimitLayer<Chosen, T>,
    ValidateLayer,
    ConcurrencyLayer<T>,
    TimeoutLayer<T>,
    FlagsLayer,
);

/// What stands between a client and whatever serves him, the app behind a network or a router in this process.
pub fn guards<T: Timer>(components: &Components, buckets: Chosen, timer: T) -> Guards<T> {
    let Components { rules, access, .. } = components;
    (
        // Sees bans and failed logins, which are held against the address.
        AbuseLayer::new(rules.abuse.clone(), Place::Outside),
        // Whoever is shut out costs nothing further.
        BanLayer::new(Some(rules.bans.clone())),
        // A body that is too large costs the app nothing.
        LimitSizeLayer::new(components.sizes.as_slice().into()),
        // Whoever says who he is has to be right, before anything is held against him or done for him.
        AuthLayer::new(access.auth.clone()),
        // Sees what is refused below, which is held against whoever was recognised.
        AbuseLayer::new(rules.abuse.clone(), Place::Inside),
        // By whoever was recognised above, and before anything that costs the app something.
        RateLimitLayer::new(rules.limits.limits(), buckets, timer.clone()),
        // Reading a body costs more than whatever could refuse it above, and less than a place inside.
        ValidateLayer::new(access.bodies.clone(), Some(access.watch.clone())),
        // Whoever comes this far will be served, as soon as the app can.
        ConcurrencyLayer::new(
            rules.concurrency.clone(),
            rules.pressure.clone(),
            rules.clock,
            timer.clone(),
        ),
        // The clocks cover waiting for a starting app as well as the app's own time.
        TimeoutLayer::new(&components.timeouts, timer),
        // Below authentication, because a share goes by the principal; only who will be served costs it.
        FlagsLayer::new(components.flags.clone()),
    )
}
