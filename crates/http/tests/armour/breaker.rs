//! The breaker in its place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seaworthy_core::breaker::{Breaker, Rules, State, Steer};
use seaworthy_core::catalogue;
use seaworthy_core::clock::{Clock, Moment};
use seaworthy_http::breaker::{BreakerLayer, Circuit, Circuits};
use seaworthy_http::cover::Cover;
use seaworthy_http::error::Error;
use seaworthy_http::rescue::Watch;
use tower::{Layer as _, ServiceExt as _};

use super::{acting, answer, app, clock, request};

pub(crate) fn circuit(rules: Rules) -> (Arc<Breaker>, Circuits) {
    build(rules, None)
}

/// One that tells `watch` of failures.
pub(crate) fn watched(watch: Arc<dyn Watch + Send + Sync>) -> (Arc<Breaker>, Circuits) {
    build(Rules::default(), Some(watch))
}

fn build(rules: Rules, watch: Option<Arc<dyn Watch + Send + Sync>>) -> (Arc<Breaker>, Circuits) {
    let breaker = Arc::new(Breaker::new(rules, 1));
    let circuit = Circuit {
        name: "app".into(),
        breaker: breaker.clone(),
        watch,
    };
    (breaker, Arc::new(Cover::all(Arc::new(circuit))))
}

fn open(breaker: &Arc<Breaker>) {
    for _ in 0..5 {
        let permit = breaker.acquire(|| Moment(0)).expect("closed");
        permit.failure(|| Moment(0));
    }
    assert_eq!(breaker.state(), State::Open);
}

/// A clock at which the open time of the usual breaker is long over.
fn late() -> Clock {
    let began = Instant::now().checked_sub(Duration::from_secs(90));
    Clock::new(began.expect("the machine runs for longer"), 1)
}

#[tokio::test]
async fn an_open_breaker_answers_without_the_app_and_says_when_to_come_back() {
    let (breaker, circuits) = circuit(Rules::default());
    let (app, seen) = app(|_| Ok(answer(503)));
    let service = BreakerLayer::new(circuits, clock(1)).layer(app);
    for _ in 0..5 {
        let got = service.clone().oneshot(request("GET", "/", "")).await;
        assert_eq!(got.expect("the app's answer").status(), 503);
    }
    let refused = service.clone().oneshot(request("GET", "/", "")).await;
    let refused = refused.expect_err("the breaker is open");
    assert_eq!(refused.kind(), &catalogue::CIRCUIT_OPEN);
    assert_eq!(refused.retry_after_seconds(), Some(60));
    assert_eq!(refused.details()[0], ("breaker", "app".into()));
    assert_eq!((seen.calls(), breaker.failures()), (5, 5));
    breaker.steer(Steer::ForceOpen, Moment(0));
    let refused = service.oneshot(request("GET", "/", "")).await;
    assert_eq!(refused.expect_err("forced").retry_after_seconds(), Some(1));
}

#[tokio::test]
async fn only_the_apps_own_failures_count() {
    let (breaker, circuits) = circuit(Rules::default());
    let (app, _) = app(|number| match number {
        1 => Ok(answer(404)),
        2 => Ok(answer(429)),
        3 => Err(Error::new(&catalogue::PAYLOAD_TOO_LARGE)),
        4 => Err(Error::new(&catalogue::STARTING)),
        5 => Err(Error::new(&catalogue::OVERLOADED)),
        6 => Err(Error::new(&catalogue::UPSTREAM_CRASHED)),
        7 => Err(Error::new(&catalogue::UPSTREAM_TIMEOUT)),
        _ => Ok(answer(500)),
    });
    let service = BreakerLayer::new(circuits, clock(1)).layer(app);
    for failures in [0, 0, 0, 0, 0, 1, 2, 3, 4] {
        service.clone().oneshot(request("GET", "/", "")).await.ok();
        assert_eq!(breaker.failures(), failures);
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_counts_as_nothing_and_keeps_no_place() {
    let (breaker, circuits) = circuit(Rules::default());
    let (app, seen) = acting(|number, _| {
        Box::pin(async move {
            if number <= 100 {
                std::future::pending::<()>().await;
            }
            Ok(answer(200))
        })
    });
    let service = BreakerLayer::new(circuits, late()).layer(app);
    open(&breaker);
    for _ in 0..100 {
        // Each of them is a probe, reaches the app, and is dropped there.
        let call = service.clone().oneshot(request("GET", "/", ""));
        let given_up = tokio::time::timeout(Duration::from_micros(1), call).await;
        assert!(given_up.is_err());
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    assert_eq!((seen.calls(), breaker.failed()), (100, 5));
    let got = service.oneshot(request("GET", "/", "")).await;
    assert_eq!(got.expect("the probe").status(), 200);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_callers_make_exactly_as_many_probes_as_the_rules_say() {
    for probes in [1, 3] {
        let rules = Rules {
            probes,
            ..Rules::default()
        };
        let (breaker, circuits) = circuit(rules);
        open(&breaker);
        let (end, ended) = tokio::sync::watch::channel(false);
        let (app, seen) = acting(move |_, _| {
            let mut ended = ended.clone();
            Box::pin(async move {
                ended.wait_for(|over| *over).await.expect("a sender");
                Ok(answer(200))
            })
        });
        let service = BreakerLayer::new(circuits, late()).layer(app);
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let service = service.clone();
            callers.spawn(async move { service.oneshot(request("GET", "/", "")).await.is_ok() });
        }
        let mut refused = 0;
        while refused < 500 - probes {
            // The probes hang in the app, so whoever ends now was refused.
            let passed = callers.join_next().await.expect("one").expect("no panic");
            assert!(!passed);
            refused += 1;
        }
        assert_eq!(seen.calls(), probes as usize);
        end.send(true).expect("the app waits");
        while let Some(passed) = callers.join_next().await {
            assert!(passed.expect("no panic"));
        }
        assert_eq!(breaker.state(), State::Closed);
    }
}
