//! Requests that are sent again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use seaworthy_core::breaker::{Rules, State};
use seaworthy_core::catalogue::{self, ErrorType};
use seaworthy_core::retry::{Budget, Eligible, Schedule};
use seaworthy_http::breaker::BreakerLayer;
use seaworthy_http::error::{BodyError, Error};
use seaworthy_http::exchange::{Exchange, Interim};
use seaworthy_http::retry::{Plan, Retry, RetryLayer, Tally};
use seaworthy_http::timer::TokioTimer;
use tokio::time::Instant;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};

use super::breaker::circuit;
use super::{Answer, App, Body, Seen, answer, app, clock, request};

fn plan() -> Plan {
    Plan {
        schedule: Schedule::default(),
        eligible: Eligible::default(),
        connect: true,
        statuses: vec![502, 503, 504],
        keep: 64 << 10,
        deadline: None,
        budget: None,
        tally: Arc::new(Tally::default()),
    }
}

fn layer(plan: Plan) -> RetryLayer<TokioTimer> {
    let plans = [Some(Arc::new(plan))];
    RetryLayer::new(plans.into(), Arc::default(), clock(1), TokioTimer)
}

fn service(
    plan: Plan,
    script: impl Fn(usize) -> Result<Answer, Error> + Send + Sync + 'static,
) -> (Retry<App, TokioTimer>, Arc<Seen>) {
    let (app, seen) = app(script);
    (layer(plan).layer(app), seen)
}

async fn send(
    service: &Retry<App, TokioTimer>,
    request: Request<Body>,
) -> Result<u16, &'static ErrorType> {
    let got = service.clone().oneshot(request).await;
    got.map(|answer| answer.status().as_u16())
        .map_err(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn two_failures_that_pass_are_three_calls_with_growing_waits() {
    let plan = plan();
    let tally = plan.tally.clone();
    let (service, seen) = service(plan, |number| {
        Ok(answer(if number < 3 { 503 } else { 200 }))
    });
    let began = Instant::now();
    assert_eq!(send(&service, request("GET", "/", "")).await, Ok(200));
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_millis(605),
        "{took:?}"
    );
    assert_eq!(seen.calls(), 3);
    assert_eq!(tally.retries.load(Ordering::Relaxed), 2);
    assert_eq!(tally.recovered.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_before_the_first_try_is_not_of_the_time_for_tries() {
    let mut plan = plan();
    plan.deadline = Some(Duration::from_secs(5));
    let (service, seen) = service(plan, |number| {
        Ok(answer(if number < 2 { 503 } else { 200 }))
    });
    let mut request = request("GET", "/", "");
    let began = std::time::Instant::now().checked_sub(Duration::from_secs(10));
    let exchange = Exchange::new(began.expect("the machine runs for longer"), None, false);
    request.extensions_mut().insert(exchange);
    assert_eq!(send(&service, request).await, Ok(200));
    assert_eq!(seen.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_post_is_sent_once_unless_it_has_a_key_a_promise_or_never_left() {
    let with = |method: &'static str,
                key: bool,
                unsafe_methods: bool,
                kind: Option<&'static ErrorType>| async move {
        let mut plan = plan();
        plan.eligible.unsafe_methods = unsafe_methods;
        let (service, seen) = service(plan, move |_| match kind {
            Some(kind) => Err(Error::new(kind)),
            None => Ok(answer(503)),
        });
        let mut request = request(method, "/", "body");
        if key {
            let key = HeaderValue::from_static("k1");
            request.headers_mut().insert("idempotency-key", key);
        }
        send(&service, request).await.ok();
        assert!(seen.bodies().iter().all(|body| body == "body"));
        seen.calls()
    };
    assert_eq!(with("POST", false, false, None).await, 1);
    assert_eq!(with("PATCH", false, false, None).await, 1);
    assert_eq!(with("POST", true, false, None).await, 4);
    assert_eq!(with("POST", false, true, None).await, 4);
    assert_eq!(with("PUT", false, false, None).await, 4);
    let unreachable = Some(&catalogue::UPSTREAM_UNREACHABLE);
    assert_eq!(with("POST", false, false, unreachable).await, 4);
    let closed = Some(&catalogue::UPSTREAM_CLOSED);
    assert_eq!(with("POST", false, false, closed).await, 1);
    assert_eq!(with("GET", false, false, closed).await, 4);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_our_own_and_what_may_kill_the_app_are_final() {
    for kind in [
        &catalogue::UPSTREAM_CRASHED,
        &catalogue::OVERLOADED,
        &catalogue::SHUTTING_DOWN,
        &catalogue::STARTING,
        &catalogue::RESTARTING,
        &catalogue::CIRCUIT_OPEN,
        &catalogue::PAYLOAD_TOO_LARGE,
        &catalogue::INTERNAL,
    ] {
        let (service, seen) = service(plan(), |_| Err(Error::new(kind)));
        assert_eq!(send(&service, request("GET", "/", "")).await, Err(kind));
        assert_eq!(seen.calls(), 1, "{}", kind.name);
    }
    for status in [200, 400, 404, 429, 500, 501] {
        let (service, seen) = service(plan(), move |_| Ok(answer(status)));
        assert_eq!(send(&service, request("GET", "/", "")).await, Ok(status));
        assert_eq!(seen.calls(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_asked_for_is_kept_or_ends_the_tries() {
    let asking = |value: &'static str| {
        move |_| {
            let mut answer = answer(503);
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(header::RETRY_AFTER, value);
            Ok(answer)
        }
    };
    let once = Schedule {
        most: 1,
        ..Schedule::default()
    };
    for (value, deadline, calls, least, most) in [
        ("5", None, 2, 5_000, 5_010),
        ("5", Some(4), 1, 0, 10),
        ("3600", None, 1, 0, 10),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None, 2, 100, 205),
        ("nonsense", None, 2, 100, 205),
    ] {
        let plan = Plan {
            schedule: once.clone(),
            deadline: deadline.map(Duration::from_secs),
            ..plan()
        };
        let (service, seen) = service(plan, asking(value));
        let began = Instant::now();
        assert_eq!(send(&service, request("GET", "/", "")).await, Ok(503));
        let took = began.elapsed().as_millis();
        assert!((least..=most).contains(&took), "{value}: {took}");
        assert_eq!(seen.calls(), calls, "{value}");
    }
}

#[tokio::test]
async fn an_open_breaker_ends_the_tries() {
    let (breaker, circuits) = circuit(Rules::default());
    let (app, seen) = app(|_| Ok(answer(503)));
    let mut plan = plan();
    plan.schedule.delays = vec![Duration::from_millis(1)];
    let plans = [Some(Arc::new(plan))];
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(
            plans.into(),
            circuits.clone(),
            clock(1),
            TokioTimer,
        ))
        .layer(BreakerLayer::new(circuits, clock(1)))
        .service(app);
    // Four tries of the first request, and the first of the second is the fifth failure.
    for calls in [4, 5] {
        let got = service.clone().oneshot(request("GET", "/", "")).await;
        assert_eq!(got.expect("the app's own answer").status(), 503);
        assert_eq!(seen.calls(), calls);
    }
    assert_eq!(breaker.state(), State::Open);
    let refused = service.oneshot(request("GET", "/", "")).await;
    let refused = refused.map(|answer| answer.status());
    assert_eq!(refused.expect_err("open").kind(), &catalogue::CIRCUIT_OPEN);
    assert_eq!((seen.calls(), breaker.refused()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_budget_bounds_the_tries_of_everybody() {
    let mut plan = plan();
    plan.budget = Some(Arc::new(Budget::new(0.2, 1)));
    let tally = plan.tally.clone();
    let (service, seen) = service(plan, |_| Ok(answer(503)));
    for _ in 0..1_000 {
        assert_eq!(send(&service, request("GET", "/", "")).await, Ok(503));
    }
    // A fifth of the calls, what was saved up, and one for each second that the test really took.
    assert!((1_200..=1_220).contains(&seen.calls()), "{}", seen.calls());
    assert!(tally.exhausted.load(Ordering::Relaxed) >= 900);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_during_the_wait_is_not_sent_again() {
    let (service, seen) = service(plan(), |_| Ok(answer(503)));
    let call = service.oneshot(request("GET", "/", ""));
    let left = tokio::time::timeout(Duration::from_millis(50), call).await;
    assert!(left.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(seen.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_seen_part_of_an_answer_gets_no_second_one() {
    for (status, calls) in [(StatusCode::CONTINUE, 4), (StatusCode::EARLY_HINTS, 1)] {
        let (service, seen) = service(plan(), |_| Ok(answer(503)));
        let mut request = request("GET", "/", "");
        let interim = Interim::default();
        assert!(interim.send(status, header::HeaderMap::new()));
        let exchange = request.extensions_mut().get_mut::<Exchange>();
        exchange.expect("one").interim = Some(interim);
        assert_eq!(send(&service, request).await, Ok(503));
        assert_eq!(seen.calls(), calls, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_become_a_tunnel_is_sent_once() {
    let (service, seen) = service(plan(), |_| Ok(answer(503)));
    let mut request = request("GET", "/", "");
    let exchange = request.extensions_mut().get_mut::<Exchange>();
    exchange.expect("one").upgrade = true;
    assert_eq!(send(&service, request).await, Ok(503));
    assert_eq!(seen.calls(), 1);
}

/// A body that comes in pieces.
struct Pieces(Vec<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(self.0.remove(0)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Each try sees the whole body or there is no other try, however much of it the try before has read.
    #[test]
    fn every_try_gets_the_whole_body(
        sizes in prop::collection::vec(1_usize..40, 1..12),
        keep in 0_usize..300,
        reads in prop::collection::vec(0_usize..14, 3),
    ) {
        let all: usize = sizes.iter().sum();
        let pieces: Vec<Bytes> = sizes.iter().map(|size| vec![b'x'; *size].into()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().expect("a runtime");
        let tries = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = tries.clone();
        let app = tower::service_fn(move |request: Request<seaworthy_http::retry::Kept<Pieces>>| {
            let (seen, reads) = (seen.clone(), reads.clone());
            async move {
                let mut body = request.into_body();
                let number = seen.lock().expect("unpoisoned").len();
                let hint = body.size_hint().exact();
                let mut got = 0;
                // The last try reads to the end.
                for _ in 0..reads.get(number).copied().unwrap_or(usize::MAX) {
                    match body.frame().await {
                        Some(frame) => got += frame?.into_data().map_or(0, |data| data.len()),
                        None => break,
                    }
                }
                let left = body.size_hint().exact();
                seen.lock().expect("unpoisoned").push((hint, got, left));
                Ok::<_, BodyError>(answer(503))
            }
        });
        let app = app.map_err(|error| Error::from(&error));
        let mut request = Request::put("/").body(Pieces(pieces)).expect("a request");
        request.extensions_mut().insert(Exchange::new(std::time::Instant::now(), None, false));
        let service = layer(Plan { keep, ..plan() }).layer(app);
        let got = runtime.block_on(service.oneshot(request));
        prop_assert_eq!(got.expect("the app's answer").status(), 503);
        let tries = tries.lock().expect("unpoisoned").clone();
        prop_assert!((1..=4).contains(&tries.len()));
        for (at, (hint, got, left)) in tries.iter().enumerate() {
            prop_assert_eq!(*hint, Some(all as u64), "try {}", at);
            prop_assert_eq!(*got as u64 + left.unwrap_or(0), all as u64);
            // Whoever has read more than is kept was the last.
            prop_assert!(*got <= keep || at + 1 == tries.len());
        }
        if all <= keep {
            prop_assert_eq!(tries.len(), 4);
            prop_assert_eq!(tries[3].1, all);
        }
    }
}
