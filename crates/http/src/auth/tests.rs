//! The layer, over services that watch what reaches them.

use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderName, Request, Response, header};
use seaworthy_core::clock::Clock;
use seaworthy_core::principal::{Kind, Principal};
use seaworthy_core::route::{RouteId, RouteTable};
use seaworthy_testkit::origin::{Origin, Script};
use serde_json::json;
use tower::{Layer as _, Service, ServiceExt as _};

use super::policy::{Policy, Remote};
use super::*;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::outbound::Client;

/// Answers with whoever it was asked by, and insists on being ready.
#[derive(Debug, Default)]
struct App {
    ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for App {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            calls: self.calls.clone(),
        }
    }
}

impl Service<Request<()>> for App {
    type Response = Response<Option<Arc<Principal>>>;
    type Error = Error;
    type Future = Ready<Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        self.calls.fetch_add(1, Ordering::Relaxed);
        let exchange = request.extensions().get::<Exchange>();
        ready(Ok(Response::new(
            exchange.and_then(|exchange| exchange.principal.clone()),
        )))
    }
}

#[derive(Default)]
struct Seen(Mutex<Vec<&'static str>>);

impl Watch for Seen {
    fn identified(&self, outcome: &'static str) {
        self.0.lock().unwrap().push(outcome);
    }

    fn decided(&self, decision: &'static str, _: Duration) {
        self.0.lock().unwrap().push(decision);
    }
}

fn keys() -> (HeaderName, Keys) {
    let line = |key: &str, rest: &str| {
        let hash: String = keys::sha256(key.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{hash} {rest}\n")
    };
    let text = line("k1", "api_key one") + &line("k2", "premium two");
    (
        HeaderName::from_static("x-api-key"),
        Keys::parse(&text).unwrap(),
    )
}

fn config(mode: Mode) -> Config {
    Config {
        modes: vec![mode],
        order: vec![Kind::ApiKey, Kind::Token, Kind::Header],
        keys: Some(keys()),
        header: Some(HeaderName::from_static("x-user-id")),
        ..Config::default()
    }
}

fn request(path: &str, fields: &[(&str, &str)], trusted: bool) -> Request<()> {
    let mut request = Request::get(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut exchange = Exchange::new(Instant::now(), None, false);
    exchange.peer_trusted = trusted;
    request.extension(exchange).body(()).unwrap()
}

async fn ask(config: Config, request: Request<()>) -> Result<Option<Arc<Principal>>, Error> {
    let service = AuthLayer::new(Some(Auth::new(config, None))).layer(App::default());
    service.oneshot(request).await.map(Response::into_body)
}

fn name(answer: Result<Option<Arc<Principal>>, Error>) -> String {
    match answer {
        Ok(Some(principal)) => principal.id.to_string(),
        Ok(None) => "nobody".to_owned(),
        Err(error) => error.kind().status.to_string(),
    }
}

#[tokio::test]
async fn keys_count_when_they_are_known_and_mean_nobody_when_not() {
    for (key, none, optional, required) in [
        (Some("k1"), "nobody", "one", "one"),
        (Some("k2"), "nobody", "two", "two"),
        (Some("k3"), "nobody", "nobody", "401"),
        (Some(""), "nobody", "nobody", "401"),
        (None, "nobody", "nobody", "401"),
    ] {
        let fields: Vec<_> = key.map(|key| ("X-API-Key", key)).into_iter().collect();
        for (mode, wanted) in [
            (Mode::None, none),
            (Mode::Optional, optional),
            (Mode::Required, required),
        ] {
            let answer = ask(config(mode), request("/", &fields, false)).await;
            assert_eq!(name(answer), wanted, "{key:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn a_header_counts_from_a_trusted_proxy_only_and_after_a_key() {
    let user = [("X-User-ID", "alice")];
    let both = [("X-User-ID", "alice"), ("x-api-key", "k1")];
    assert_eq!(
        name(ask(config(Mode::Required), request("/", &user, false)).await),
        "401"
    );
    assert_eq!(
        name(ask(config(Mode::Required), request("/", &user, true)).await),
        "alice"
    );
    assert_eq!(
        name(ask(config(Mode::Optional), request("/", &both, true)).await),
        "one"
    );
    let mut other = config(Mode::Optional);
    other.order = vec![Kind::Header, Kind::ApiKey];
    assert_eq!(name(ask(other, request("/", &both, true)).await), "alice");
    let long = "a".repeat(257);
    let long = [("X-User-ID", &*long)];
    assert_eq!(
        name(ask(config(Mode::Optional), request("/", &long, true)).await),
        "401"
    );
}

#[tokio::test]
async fn what_comes_twice_is_refused_and_what_connection_lists_is_read() {
    let twice = [("X-API-Key", "k1"), ("x-api-key", "k2")];
    assert_eq!(
        name(ask(config(Mode::Optional), request("/", &twice, false)).await),
        "401"
    );
    let hidden = [
        ("Connection", "x-api-key, authorization"),
        ("X-API-Key", "k1"),
    ];
    assert_eq!(
        name(ask(config(Mode::Required), request("/", &hidden, false)).await),
        "one"
    );
}

#[tokio::test]
async fn a_refusal_says_why_and_how_to_ask() {
    let answer = ask(
        config(Mode::Required),
        request("/", &[("x-api-key", "hunter2")], false),
    )
    .await;
    let error = answer.unwrap_err();
    assert_eq!(error.kind().name, "Unauthorized");
    assert_eq!(
        error.details(),
        [("reason", json!("the API key is not known"))]
    );
    assert!(
        error
            .headers()
            .unwrap()
            .contains_key(header::WWW_AUTHENTICATE)
    );
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[tokio::test]
async fn each_route_asks_for_its_own() {
    let mut config = config(Mode::Optional);
    config.modes = vec![Mode::Optional, Mode::Required];
    config.strictness = Strictness::of([("/admin", Mode::Required)], Mode::Optional, false);
    let service = AuthLayer::new(Some(Auth::new(config, None))).layer(App::default());
    for (path, route, status) in [
        ("/", 0, 200),
        ("/admin", 1, 401),
        ("/ADMIN", 0, 401),
        ("/admin/", 0, 401),
        ("//admin", 0, 400),
        ("/x/../admin", 0, 400),
        ("/%61dmin", 0, 400),
    ] {
        let mut request = request(path, &[], false);
        request
            .extensions_mut()
            .get_mut::<Exchange>()
            .unwrap()
            .route = RouteId(route);
        let answer = service.clone().oneshot(request).await;
        assert_eq!(
            answer.map_or_else(|error| error.kind().status, |_| 200),
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_laxer_route_lets_nobody_by_to_where_more_is_asked() {
    for (lax, mode, general) in [
        ("/public*", Mode::None, Mode::Optional),
        ("/public*", Mode::None, Mode::Required),
        ("/public/*", Mode::Optional, Mode::Required),
    ] {
        let mut config = config(general);
        config.modes = vec![general, mode, Mode::Required];
        let patterns = [(lax, mode), ("/admin", Mode::Required)];
        config.strictness = Strictness::of(patterns, general, false);
        let service = AuthLayer::new(Some(Auth::new(config, None))).layer(App::default());
        for (path, status) in [
            ("/public/x", 200),
            ("/public/../admin", 400),
            ("/public/%2e%2e/admin", 400),
            ("/public;/../admin", 400),
            ("/public//../../admin", 400),
        ] {
            let mut request = request(path, &[], false);
            request
                .extensions_mut()
                .get_mut::<Exchange>()
                .unwrap()
                .route = RouteId(1);
            let answer = service.clone().oneshot(request).await;
            assert_eq!(
                answer.map_or_else(|error| error.kind().status, |_| 200),
                status,
                "{lax} {path}"
            );
        }
    }
}

#[tokio::test]
async fn a_name_that_no_trusted_proxy_has_set_does_not_reach_the_app() {
    for mode in [Mode::None, Mode::Optional] {
        for (trusted, arrives) in [(true, true), (false, false)] {
            let app = tower::service_fn(|request: Request<()>| async move {
                let name = request.headers().get("x-user-id").cloned();
                Ok::<_, Error>(Response::new(name))
            });
            let service = AuthLayer::new(Some(Auth::new(config(mode), None))).layer(app);
            let request = request("/", &[("X-User-ID", "alice")], trusted);
            let seen = service.oneshot(request).await.unwrap().into_body();
            assert_eq!(seen.is_some(), arrives, "{mode:?} {trusted}");
        }
    }
}

async fn policy(answer: &str, open: bool, remember: u64) -> (Policy, Origin) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let origin = Origin::tcp(Script::always(answer)).await.unwrap();
    (policy_at(&origin, open, remember), origin)
}

fn policy_at(origin: &Origin, open: bool, remember: u64) -> Policy {
    let url = format!("http://{}/v1/data/allow?x=1", origin.address())
        .parse()
        .unwrap();
    let client = Client::new(&url, None, policy::LARGEST_DECISION);
    let (timeout, remember) = (Duration::from_millis(500), Duration::from_secs(remember));
    let clock = Clock::new(Instant::now(), 1);
    let remote = Remote::new(client, timeout, open, remember, clock);
    Policy::remote(remote, Arc::new(RouteTable::default()))
}

async fn asked(policy: Policy, times: usize) -> (Vec<String>, Vec<&'static str>) {
    let mut config = config(Mode::Optional);
    config.policy = Some(policy);
    let seen = Arc::new(Seen::default());
    let app = App::default();
    let service = AuthLayer::new(Some(Auth::new(config, Some(seen.clone())))).layer(app.clone());
    let mut answers = Vec::new();
    for _ in 0..times {
        let request = request("/orders/1?secret=1", &[("x-api-key", "k2")], false);
        answers.push(name(
            service
                .clone()
                .oneshot(request)
                .await
                .map(Response::into_body),
        ));
    }
    let passed = answers.iter().filter(|answer| *answer == "two").count();
    assert_eq!(app.calls.load(Ordering::Relaxed), passed);
    (answers, std::mem::take(&mut seen.0.lock().unwrap()))
}

#[tokio::test]
async fn a_decision_service_is_asked_and_believed() {
    let (yes, origin) = policy(r#"{"result": {"allow": true}}"#, false, 0).await;
    assert_eq!(
        asked(yes, 3).await,
        (vec!["two".to_owned(); 3], ["api_key", "allow"].repeat(3))
    );
    let text = origin.text();
    assert_eq!(origin.requests().len(), 3);
    assert_eq!(origin.connections(), 1);
    assert!(
        text.starts_with("POST /v1/data/allow?x=1 HTTP/1.1\r\n"),
        "{text}"
    );
    assert!(
        text.contains(r#""input":{"method":"GET","path":"/orders/1","route":"unmatched""#),
        "{text}"
    );
    assert!(
        text.contains(r#""principal":{"kind":"api_key","id":"two","tier":"premium"}"#),
        "{text}"
    );
    assert!(!text.contains("secret") && !text.contains("k2"), "{text}");
    let (no, _origin) = policy(r#"{"allow": false, "reason": "not on Sundays"}"#, true, 0).await;
    assert_eq!(
        asked(no, 1).await,
        (vec!["403".to_owned()], vec!["api_key", "deny"])
    );
}

#[tokio::test]
async fn without_a_decision_it_fails_as_it_was_told() {
    for (open, wanted) in [(false, "503"), (true, "two")] {
        for answer in ["{}", "no JSON", r#"{"allow": "yes"}"#] {
            let (policy, _origin) = policy(answer, open, 0).await;
            assert_eq!(
                asked(policy, 1).await,
                (vec![wanted.to_owned()], vec!["api_key", "error"]),
                "{answer}"
            );
        }
        for script in [
            Script::silent(),
            Script::reset_after(""),
            Script::always("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
        ] {
            let origin = Origin::tcp(script).await.unwrap();
            assert_eq!(asked(policy_at(&origin, open, 0), 1).await.0, [wanted]);
        }
    }
}

#[tokio::test]
async fn a_decision_is_remembered_for_as_long_as_told_and_a_failure_never() {
    let (yes, origin) = policy(r#"{"allow": true}"#, false, 60).await;
    let (answers, seen) = asked(yes, 5).await;
    assert_eq!(answers, vec!["two".to_owned(); 5]);
    assert_eq!(seen, ["api_key", "allow"].repeat(5));
    assert_eq!(origin.requests().len(), 1);
    let (broken, origin) = policy("{}", false, 60).await;
    assert_eq!(asked(broken, 3).await.0, vec!["503".to_owned(); 3]);
    assert_eq!(origin.requests().len(), 3);
}

#[tokio::test]
async fn whoever_leaves_while_a_decision_is_made_reaches_nobody() {
    let origin = Origin::tcp(Script::silent()).await.unwrap();
    let mut config = config(Mode::Optional);
    config.policy = Some(policy_at(&origin, true, 0));
    let app = App::default();
    let calls = app.calls.clone();
    let service = AuthLayer::new(Some(Auth::new(config, None))).layer(app);
    let asking = tokio::spawn(service.oneshot(request("/", &[], false)));
    origin.wait_requests(1).await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn without_rules_everybody_passes() {
    let service = AuthLayer::new(None).layer(App::default());
    let passed = service
        .oneshot(request("//x", &[("x-api-key", "a")], false))
        .await;
    assert!(passed.unwrap().into_body().is_none());
}

/// A service that moves between threads may hold the layer.
#[test]
fn it_moves_between_threads() {
    fn moves<T: Send>(_: T) {}
    let service = AuthLayer::new(None).layer(tower::service_fn(|_: Request<()>| async {
        Ok::<_, Error>(Response::new(()))
    }));
    moves(service.oneshot(Request::new(())));
}
