//! The health of a service written in Rust, on a clock that tests turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use seaworthy_health::{Gate, Health, Outcome, Routes, Spec, Vitals, blocking, from_fn};
use serde_json::Value;
use tower_service::Service as _;

const SECOND: Duration = Duration::from_secs(1);

/// A service with a critical check that can be broken, and an optional one that always fails.
fn service() -> (Vitals, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(true));
    let looked = works.clone();
    let database = from_fn(move || {
        let works = looked.load(Ordering::SeqCst);
        async move {
            if works {
                Outcome::healthy("it answers")
            } else {
                Outcome::unhealthy("refused")
            }
        }
    });
    let cache = blocking(|| Outcome::unhealthy("refused"));
    let vitals = Health::builder("shop")
        .version("1.4")
        .spec(Spec::new("cache", cache).optional())
        .check("database", database)
        .build();
    (vitals, works)
}

async fn ask(routes: &mut Routes, method: &str, path: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(()).expect("a request");
    let Ok(answer) = routes.call(request).await;
    let code = answer.status().as_u16();
    (code, document(answer).await)
}

async fn document(answer: Response<Full<bytes::Bytes>>) -> Value {
    let Ok(body) = answer.into_body().collect().await;
    serde_json::from_slice(&body.to_bytes()).unwrap_or_default()
}

fn codes(vitals: &Vitals) -> [u16; 3] {
    [
        vitals.check_liveness().code,
        vitals.check_readiness().code,
        vitals.check_startup().code,
    ]
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_what_is_critical_and_startup_stays() {
    let (vitals, works) = service();
    assert_eq!(codes(&vitals), [200, 503, 503], "nothing is known yet");
    tokio::time::sleep(SECOND).await;
    assert_eq!(codes(&vitals), [200, 200, 200]);
    works.store(false, Ordering::SeqCst);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(codes(&vitals), [200, 503, 200]);
    works.store(true, Ordering::SeqCst);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(codes(&vitals), [200, 200, 200]);
    vitals.gate(Gate::Closed("shutting down".to_owned()));
    assert_eq!(codes(&vitals), [200, 503, 200]);
}

#[tokio::test(start_paused = true)]
async fn liveness_follows_the_pulse_and_no_dependency() {
    let (vitals, works) = service();
    let pulse = vitals.pulse("worker", 30 * SECOND);
    tokio::time::sleep(29 * SECOND).await;
    assert_eq!(vitals.check_liveness().code, 200);
    tokio::time::sleep(2 * SECOND).await;
    let dead = vitals.check_liveness();
    let told = String::from_utf8_lossy(&dead.body).into_owned();
    assert_eq!(dead.code, 503);
    assert!(
        told.contains("worker has not got on for more than 30 s"),
        "{told}"
    );
    pulse.beat();
    assert_eq!(vitals.check_liveness().code, 200, "a beat mends it at once");
    // A loop that waits for a broken dependency is not mended by a new start.
    works.store(false, Ordering::SeqCst);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(codes(&vitals), [200, 503, 200]);
}

#[tokio::test(start_paused = true)]
async fn every_canonical_path_is_answered() {
    let (vitals, _) = service();
    tokio::time::sleep(SECOND).await;
    let mut routes = vitals.routes();
    for path in [
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/health",
        "/health/detailed",
        "/health/summary",
    ] {
        let (code, document) = ask(&mut routes, "GET", path).await;
        assert_eq!(
            (code, &document["service"]),
            (200, &"shop".into()),
            "{path}"
        );
    }
    let (_, detail) = ask(&mut routes, "GET", "/health?only=optional").await;
    assert_eq!(detail["components"][1]["name"], "cache");
    assert_eq!(ask(&mut routes, "GET", "/health?component=no").await.0, 404);
    assert_eq!(ask(&mut routes, "GET", "/healthy").await.0, 404);
    assert_eq!(ask(&mut routes, "POST", "/health").await.0, 405);
}

#[tokio::test(start_paused = true)]
async fn strangers_are_told_no_more_than_they_need() {
    let (vitals, works) = service();
    works.store(false, Ordering::SeqCst);
    tokio::time::sleep(10 * SECOND).await;
    let mut routes = vitals.routes().for_strangers();
    let (code, document) = ask(&mut routes, "GET", "/health/ready?detailed=true").await;
    assert_eq!(code, 503);
    assert!(!document.to_string().contains("database"), "{document}");
    assert_eq!(ask(&mut routes, "GET", "/health").await.0, 404);
}
