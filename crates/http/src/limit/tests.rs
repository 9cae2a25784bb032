//! The layer on stubs: what passes, what is said, what a refusal gives back.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_core::principal::{Kind, Principal};
use seaworthy_core::quota::Quota;
use seaworthy_core::route::RouteId;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::*;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::timer::TokioTimer;

const MINUTE: Duration = Duration::from_secs(60);

fn per_minute(count: u64) -> Option<Quota> {
    Some(Quota::continuous(count, count, MINUTE).unwrap())
}

fn tier(name: &str, quota: Option<Quota>) -> Arc<Policy> {
    Arc::new(Policy::new(PolicyConfig::new(name, quota)))
}

fn policy(name: &str, quota: Option<Quota>, change: impl FnOnce(&mut PolicyConfig)) -> Arc<Policy> {
    let mut config = PolicyConfig::new(name, quota);
    change(&mut config);
    Arc::new(Policy::new(config))
}

/// Tiers everywhere, and these others as well.
fn limits(tiers: &[Arc<Policy>], policies: &[Arc<Policy>]) -> Limits {
    Limits {
        tiers: tiers.into(),
        policies: policies.into(),
        rules: [Rules {
            tiers: true,
            policies: (0..policies.len()).collect(),
            cost: 1,
            settle: None,
        }]
        .into(),
        keys: Keys::default(),
        fields: Fields::default(),
        clock: Clock::new(Instant::now(), 1),
    }
}

fn from(address: &str) -> Exchange {
    let mut exchange = Exchange::new(Instant::now(), None, false);
    exchange.client = Some(address.parse().unwrap());
    exchange
}

fn principal(tier: Option<&str>, id: &str) -> Exchange {
    let mut exchange = from("203.0.113.9");
    exchange.principal = Some(Arc::new(Principal {
        kind: Kind::ApiKey,
        id: id.into(),
        tier: tier.map(Into::into),
    }));
    exchange
}

fn request(exchange: Exchange) -> Request<()> {
    let mut request = Request::new(());
    request.extensions_mut().insert(exchange);
    request
}

/// The layer over an app that counts, with everything it is asked.
struct Front<S> {
    service: S,
    reached: Arc<AtomicU64>,
}

fn front(
    limits: Limits,
) -> Front<impl Service<Request<()>, Response = Response<()>, Error = Error> + Clone> {
    let reached = Arc::new(AtomicU64::new(0));
    let count = reached.clone();
    let app = service_fn(move |_: Request<()>| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, Error>(Response::new(())))
    });
    let layer = RateLimitLayer::new(Some(Arc::new(limits)), Memory, TokioTimer);
    Front {
        service: layer.layer(app),
        reached,
    }
}

impl<S: Service<Request<()>, Response = Response<()>, Error = Error> + Clone> Front<S> {
    async fn ask(&self, exchange: Exchange) -> Result<Response<()>, Error> {
        self.service.clone().oneshot(request(exchange)).await
    }

    async fn passed(&self, times: u64, exchange: &Exchange) -> u64 {
        let mut passed = 0;
        for _ in 0..times {
            passed += u64::from(self.ask(exchange.clone()).await.is_ok());
        }
        passed
    }
}

fn number(response: &Response<()>, name: &str) -> u64 {
    response.headers()[name].to_str().unwrap().parse().unwrap()
}

fn scopes(error: &Error) -> Vec<String> {
    let detail = error.details().iter().find(|(key, _)| *key == "scopes");
    serde_json::from_value(detail.unwrap().1.clone()).unwrap()
}

#[test]
fn a_policy_that_takes_the_place_of_another_keeps_its_buckets() {
    let quota = |count| Quota::continuous(count, count, Duration::from_secs(60)).ok();
    let first = policy("tier", quota(4), |_| ());
    let now = seaworthy_core::clock::Moment(0);
    let take = |policy: &Policy| policy.local().expect("a limit").take(1, 1, now).is_taken();
    assert!((0..4).all(|_| take(&first)) && !take(&first));
    let same = first.succeeded_by(first.config().clone());
    assert!(Arc::ptr_eq(&first, &same), "nothing changed");
    let wider = |keyed: Keyed, quota: Option<Quota>| {
        let mut config = PolicyConfig::new("tier", quota);
        config.keyed = keyed;
        first.succeeded_by(config)
    };
    let all = Keyed {
        parts: Box::default(),
        skips: false,
    };
    let at_once = Quota::interval(5, Duration::from_secs(1)).ok();
    assert!(
        !take(&wider(Keyed::identity(), quota(8))),
        "who had none left has none"
    );
    assert!(take(&wider(all, quota(8))), "other keys are others");
    assert!(
        take(&wider(Keyed::identity(), at_once)),
        "what is noted of one kind says nothing of the other"
    );
}

#[tokio::test]
async fn the_hundred_and_first_is_refused_and_every_answer_says_how_things_stand() {
    let front = front(limits(&[tier("anonymous", per_minute(100))], &[]));
    let client = from("192.0.2.1");
    let mut last = 100;
    for _ in 0..100 {
        let answer = front.ask(client.clone()).await.unwrap();
        assert_eq!(number(&answer, "x-ratelimit-limit"), 100);
        let remaining = number(&answer, "x-ratelimit-remaining");
        assert!(remaining < last);
        last = remaining;
        assert!(number(&answer, "x-ratelimit-reset") > 1_700_000_000);
        assert_eq!(
            answer.headers()["ratelimit-policy"],
            "\"anonymous\";q=100;w=60"
        );
    }
    let error = front.ask(client).await.unwrap_err();
    assert_eq!(error.kind().name, "RateLimitExceeded");
    assert_eq!(error.retry_after_seconds(), Some(1));
    assert_eq!(scopes(&error), ["anonymous"]);
    let head = error.headers().unwrap();
    assert_eq!(head["x-ratelimit-remaining"], "0");
    assert!(
        head["ratelimit"]
            .to_str()
            .unwrap()
            .starts_with("\"anonymous\";r=0;t=")
    );
    assert_eq!(front.reached.load(Ordering::Relaxed), 100);
    assert!(front.ask(from("192.0.2.2")).await.is_ok(), "somebody else");
}

#[tokio::test]
async fn tiers_have_limits_of_their_own_and_the_unlimited_one_says_nothing() {
    let tiers = [
        tier("anonymous", per_minute(10)),
        tier("premium", per_minute(50)),
        tier("admin", None),
    ];
    let front = front(limits(&tiers, &[]));
    assert_eq!(
        front.passed(60, &principal(Some("premium"), "k1")).await,
        50
    );
    assert_eq!(
        front.passed(60, &principal(Some("premium"), "k2")).await,
        50
    );
    assert_eq!(front.passed(20, &principal(None, "k3")).await, 10);
    assert_eq!(
        front.passed(20, &principal(Some("nowhere"), "k4")).await,
        10
    );
    assert_eq!(front.passed(20, &from("203.0.113.9")).await, 10);
    assert_eq!(
        front.passed(99, &principal(Some("admin"), "root")).await,
        99
    );
    let answer = front.ask(principal(Some("admin"), "root")).await.unwrap();
    assert!(answer.headers().is_empty(), "{:?}", answer.headers());
    assert_eq!(tiers[2].tally().requests(), 100);
    assert_eq!((tiers[1].active(), tiers[1].tally().rejected()), (2, 20));
}

#[tokio::test]
async fn a_refusal_takes_nothing_from_the_others_and_names_all_that_refuse() {
    let tier = tier("anonymous", per_minute(5));
    let small = policy("route", per_minute(3), |_| ());
    let front = front(limits(std::slice::from_ref(&tier), &[small]));
    let client = from("192.0.2.1");
    assert_eq!(front.passed(10, &client).await, 3);
    let error = front.ask(client.clone()).await.unwrap_err();
    assert_eq!(scopes(&error), ["route"]);
    assert_eq!(tier.active(), 1);
    // Three of the five are gone, not more.
    let error = front.ask(client).await.unwrap_err();
    let shown = error.headers().unwrap()["ratelimit"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(shown.contains("\"anonymous\";r=2"), "{shown}");
    let policies = error.headers().unwrap()["ratelimit-policy"]
        .to_str()
        .unwrap();
    assert_eq!(policies, "\"anonymous\";q=5;w=60, \"route\";q=3;w=60");
}

#[tokio::test]
async fn every_limit_that_refuses_is_named() {
    let front = front(limits(
        &[tier("anonymous", per_minute(2))],
        &[policy("user", per_minute(2), |_| ())],
    ));
    assert_eq!(front.passed(2, &from("192.0.2.1")).await, 2);
    let error = front.ask(from("192.0.2.1")).await.unwrap_err();
    assert_eq!(scopes(&error), ["anonymous", "user"]);
}

#[tokio::test]
async fn addresses_of_one_network_are_one_and_mapped_ones_are_what_they_map() {
    let front = front(limits(&[tier("anonymous", per_minute(2))], &[]));
    for (one, other, same) in [
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("192.0.2.7", "64:ff9b::192.0.2.7", true),
        ("64:ff9b::192.0.2.8", "64:ff9b::192.0.2.9", false),
    ] {
        assert_eq!(front.passed(2, &from(one)).await, 2, "{one}");
        let passed = front.passed(1, &from(other)).await == 0;
        assert_eq!(passed, same, "{one} {other}");
    }
}

#[tokio::test]
async fn a_field_counts_only_from_a_trusted_peer() {
    let users = policy("user", per_minute(2), |config| {
        config.keyed = Keyed {
            parts: [Part::Header("x-user-id".parse().unwrap())].into(),
            skips: true,
        };
    });
    let mut all = limits(&[], std::slice::from_ref(&users));
    all.rules[0].tiers = false;
    let front = front(all);
    let ask = async |address: &str, user: &str, trusted: bool| {
        let mut exchange = from(address);
        exchange.peer_trusted = trusted;
        let mut request = request(exchange);
        request
            .headers_mut()
            .insert("x-user-id", user.parse().unwrap());
        front.service.clone().oneshot(request).await.is_ok()
    };
    assert!(ask("127.0.0.1", "1", true).await);
    assert!(ask("127.0.0.2", "1", true).await);
    assert!(
        !ask("127.0.0.3", "1", true).await,
        "the user has had his two"
    );
    assert!(ask("127.0.0.1", "2", true).await, "another user has not");
    for turn in 0..50 {
        assert!(ask("192.0.2.1", &turn.to_string(), false).await);
    }
    assert_eq!(users.active(), 2, "strangers make no buckets");
}

#[tokio::test]
async fn observing_passes_and_counts() {
    let observed = policy("anonymous", per_minute(2), |config| {
        config.action = Action::Observe
    });
    let front = front(limits(std::slice::from_ref(&observed), &[]));
    assert_eq!(front.passed(5, &from("192.0.2.1")).await, 5);
    assert_eq!(
        (observed.tally().observed(), observed.tally().rejected()),
        (3, 0)
    );
    let answer = front.ask(from("192.0.2.1")).await.unwrap();
    assert!(answer.headers().is_empty(), "nobody is told of a trial");
}

#[tokio::test]
async fn a_candidate_is_counted_beside_the_limit_that_holds() {
    let tried = policy("anonymous", per_minute(10), |config| {
        config.candidate = per_minute(4)
    });
    let front = front(limits(std::slice::from_ref(&tried), &[]));
    assert_eq!(front.passed(12, &from("192.0.2.1")).await, 10);
    assert_eq!(
        (tried.tally().candidate(), tried.tally().rejected()),
        (8, 2)
    );
}

#[tokio::test]
async fn a_candidate_does_not_pay_for_what_another_limit_refuses() {
    let tried = policy("anonymous", per_minute(100), |config| {
        config.candidate = per_minute(4)
    });
    let strict = policy("strict", per_minute(2), |_| ());
    let front = front(limits(std::slice::from_ref(&tried), &[strict]));
    assert_eq!(front.passed(10, &from("192.0.2.1")).await, 2);
    assert_eq!(tried.tally().candidate(), 0);
}

#[tokio::test]
async fn a_request_that_waits_is_observed_once() {
    let slow = policy("anonymous", per_minute(60), |config| {
        config.quota = Some(Quota::continuous(1, 1, Duration::from_millis(30)).unwrap());
        config.action = Action::Delay(Duration::from_secs(60));
    });
    let observed = policy("tried", per_minute(1), |config| {
        config.action = Action::Observe
    });
    let front = front(limits(&[slow], std::slice::from_ref(&observed)));
    assert_eq!(front.passed(3, &from("192.0.2.1")).await, 3);
    assert_eq!(observed.tally().observed(), 2);
}

#[tokio::test]
async fn costs_are_taken_and_settled_by_what_the_answer_says() {
    let tier = tier("anonymous", per_minute(1_000));
    let mut all = limits(&[tier], &[]);
    all.rules[0].cost = 400;
    all.rules[0].settle = Some("x-tokens".parse().unwrap());
    let app = service_fn(|request: Request<()>| {
        let used = request.headers()["used"].clone();
        let mut response = Response::new(());
        response.headers_mut().insert("x-tokens", used);
        std::future::ready(Ok::<_, Error>(response))
    });
    let layer = RateLimitLayer::new(Some(Arc::new(all)), Memory, TokioTimer);
    let service = layer.layer(app);
    let ask = async |used: &str| {
        let mut request = request(from("192.0.2.1"));
        request.headers_mut().insert("used", used.parse().unwrap());
        service.clone().oneshot(request).await
    };
    for _ in 0..10 {
        ask("20").await.unwrap();
    }
    ask("1200").await.unwrap();
    let error = ask("0").await.unwrap_err();
    // 400 more than the 400 that are owed take nearly a minute.
    assert!(error.retry_after_seconds().unwrap() > 40, "{error}");
}

#[tokio::test]
async fn no_request_waits_longer_than_it_may() {
    let slow = policy("anonymous", per_minute(1), |config| {
        config.action = Action::Delay(Duration::from_secs(5));
    });
    let front = front(limits(std::slice::from_ref(&slow), &[]));
    let client = from("192.0.2.1");
    assert!(front.ask(client.clone()).await.is_ok());
    // A token takes a minute.
    let error = front.ask(client).await.unwrap_err();
    assert_eq!(error.kind().name, "RateLimitExceeded");
    assert_eq!((slow.tally().delayed(), slow.tally().rejected()), (0, 1));
}

#[tokio::test]
async fn a_delayed_request_passes_when_its_token_is_there() {
    let slow = policy("anonymous", per_minute(60), |config| {
        config.quota = Some(Quota::continuous(1, 1, Duration::from_millis(30)).unwrap());
        config.action = Action::Delay(Duration::from_secs(5));
    });
    let front = front(limits(std::slice::from_ref(&slow), &[]));
    let start = Instant::now();
    for _ in 0..4 {
        let client = from("192.0.2.1");
        assert!(front.ask(client).await.is_ok());
    }
    assert!(start.elapsed() >= Duration::from_millis(85));
    assert!(slow.tally().delayed() >= 3);
    assert_eq!(slow.tally().rejected(), 0);
}

#[tokio::test]
async fn what_the_app_says_of_a_nearer_limit_stays() {
    let all = Arc::new(limits(&[tier("anonymous", per_minute(100))], &[]));
    for (theirs, shown) in [("3", "3"), ("500", "99")] {
        let app = service_fn(move |_: Request<()>| {
            let response = Response::builder().header("x-ratelimit-remaining", theirs);
            std::future::ready(Ok::<_, Error>(response.body(()).unwrap()))
        });
        let layer = RateLimitLayer::new(Some(all.clone()), Memory, TokioTimer);
        let address = format!("192.0.2.{theirs}");
        let address = address
            .parse::<IpAddr>()
            .map_or("192.0.2.250".into(), |ip| ip.to_string());
        let answer = layer
            .layer(app)
            .oneshot(request(from(&address)))
            .await
            .unwrap();
        assert_eq!(answer.headers()["x-ratelimit-remaining"], shown);
    }
}

#[tokio::test]
async fn routes_without_rules_and_stacks_without_limits_are_left_alone() {
    let mut all = limits(&[tier("anonymous", per_minute(1))], &[]);
    all.rules = [all.rules[0].clone(), Rules::default()].into();
    let front = front(all);
    let mut free = from("192.0.2.1");
    free.route = RouteId(1);
    assert_eq!(front.passed(5, &free).await, 5);
    let app = service_fn(|_: Request<()>| std::future::ready(Ok::<_, Error>(Response::new(()))));
    let off = RateLimitLayer::new(None, Memory, TokioTimer).layer(app);
    for _ in 0..5 {
        assert!(
            off.clone()
                .oneshot(request(from("192.0.2.1")))
                .await
                .is_ok()
        );
    }
    // Without an exchange nobody knows who asks.
    assert!(off.oneshot(Request::new(())).await.is_ok());
}

#[tokio::test]
async fn a_client_without_an_address_has_a_bucket_too() {
    let front = front(limits(&[tier("anonymous", per_minute(2))], &[]));
    let nobody = Exchange::new(Instant::now(), None, false);
    assert_eq!(front.passed(5, &nobody).await, 2);
    let peer: SocketAddr = "192.0.2.77:1".parse().unwrap();
    let peer = Exchange::new(Instant::now(), Some(peer), false);
    assert_eq!(front.passed(5, &peer).await, 2);
}

/// A store whose answers come when the test says so.
#[derive(Clone, Default)]
struct Slow(Arc<std::sync::Mutex<Vec<tokio::sync::oneshot::Sender<Verdict>>>>);

struct Promise(tokio::sync::oneshot::Receiver<Verdict>);

impl Future for Promise {
    type Output = Verdict;
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        std::pin::Pin::new(&mut self.0)
            .poll(cx)
            .map(|answer| answer.unwrap())
    }
}

impl Store for Slow {
    type Later = Promise;
    type Ticket = ();

    fn take(&self, _: &Ask<'_>) -> Taking<Promise> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.0.lock().unwrap().push(sender);
        Taking::Later(Promise(receiver))
    }

    fn ticket(&self, _: &Ask<'_>) {}

    fn settle(&self, _: &Bucket<()>, _: u64, _: Moment) {}
}

/// An inner service that may only be called after it was made ready, once for each time.
#[derive(Default)]
struct Strict {
    ready: bool,
    calls: Arc<AtomicU64>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: self.calls.clone(),
        }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<()>;
    type Error = Error;
    type Future = std::future::Ready<Result<Response<()>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being ready"
        );
        self.calls.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Response::new(())))
    }
}

#[tokio::test]
async fn the_service_that_was_made_ready_is_the_one_that_is_called_later() {
    let store = Slow::default();
    let all = Arc::new(limits(&[tier("anonymous", per_minute(5))], &[]));
    let strict = Strict::default();
    let layer = RateLimitLayer::new(Some(all), store.clone(), TokioTimer);
    let mut service = layer.layer(strict.clone());
    for _ in 0..3 {
        std::future::poll_fn(|cx| service.poll_ready(cx))
            .await
            .unwrap();
        let mut answer = pin!(service.call(request(from("192.0.2.1"))));
        assert!(futures_util::poll!(answer.as_mut()).is_pending());
        let told = store.0.lock().unwrap().pop().unwrap();
        let standing = seaworthy_core::quota::Standing {
            remaining: 4,
            full_in: Duration::ZERO,
        };
        let decision = seaworthy_core::quota::Decision::Taken(standing);
        told.send(Verdict::of_store(decision)).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.headers()["x-ratelimit-remaining"], "4");
    }
    // One that is dropped while it waits never reaches the app.
    std::future::poll_fn(|cx| service.poll_ready(cx))
        .await
        .unwrap();
    let waiting = service.call(request(from("192.0.2.1")));
    drop(waiting);
    assert_eq!(strict.calls.load(Ordering::Relaxed), 3);
}

#[test]
fn the_layer_can_move_between_threads() {
    fn is_send<T: Send + Sync + Clone>(_: &T) {}
    fn future_is_send<T: Send>(_: &T) {}
    let layer = RateLimitLayer::new(None, Memory, TokioTimer);
    let mut service = layer.layer(Strict {
        ready: true,
        ..Strict::default()
    });
    is_send(&service);
    future_is_send(&service.call(Request::new(())));
}
