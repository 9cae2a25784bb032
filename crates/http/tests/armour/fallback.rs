//! What is served instead.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use seaworthy_core::catalogue;
use seaworthy_core::route::RouteTable;
use seaworthy_http::cover::Cover;
use seaworthy_http::error::Error;
use seaworthy_http::fallback::{Cause, Document, FallBack, Fallback, FallbackLayer, Toward};
use tower::{Layer as _, ServiceExt as _};

use super::{App, answer, app, request};

const ANNOUNCED: &str = "algorithm=FIXED";

fn document() -> Toward {
    let json = HeaderValue::from_static("application/json");
    Toward::Client(Document {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
        body: Bytes::from_static(br#"{"algorithm":"FIXED"}"#),
    })
}

fn fallback(toward: Toward) -> Fallback {
    Fallback::new("algorithm", HeaderValue::from_static(ANNOUNCED), toward)
}

fn service(
    fallback: Fallback,
    script: impl Fn(usize) -> Result<super::Answer, Error> + Send + Sync + 'static,
) -> (FallBack<App>, Arc<super::Seen>, Arc<Fallback>) {
    let fallback = Arc::new(fallback);
    let patterns = RouteTable::try_new(["/api/algorithm*"]).expect("a pattern");
    let cover = Cover::new(Vec::new(), patterns, vec![fallback.clone()], None);
    let (app, seen) = app(script);
    (
        FallbackLayer::new(Arc::new(cover)).layer(app),
        seen,
        fallback,
    )
}

async fn ask(service: &FallBack<App>, method: &str, path: &str) -> (u16, String, Option<String>) {
    match service.clone().oneshot(request(method, path, "")).await {
        Ok(answer) => {
            let announced = answer.headers().get("x-fallback").cloned();
            let announced = announced.map(|value| value.to_str().expect("text").to_owned());
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.expect("a body");
            let body = String::from_utf8(body.to_bytes().to_vec()).expect("text");
            (status, body, announced)
        }
        Err(error) => (error.kind().status, error.kind().name.to_owned(), None),
    }
}

#[tokio::test]
async fn a_failure_is_answered_in_the_apps_place_and_announced() {
    let told: Arc<Mutex<Vec<Option<Cause>>>> = Arc::default();
    let list = told.clone();
    let fallback = fallback(document()).watched(move |cause| list.lock().unwrap().push(cause));
    let (service, _, fallback) = service(fallback, |number| match number {
        1 => Ok(answer(500)),
        2 => Err(Error::new(&catalogue::CIRCUIT_OPEN)),
        3 => Err(Error::new(&catalogue::UPSTREAM_UNREACHABLE)),
        4 => Ok(answer(404)),
        5 => Err(Error::new(&catalogue::PAYLOAD_TOO_LARGE)),
        _ => Ok(answer(500)),
    });
    let instead = (
        200,
        r#"{"algorithm":"FIXED"}"#.to_owned(),
        Some(ANNOUNCED.to_owned()),
    );
    for _ in 0..3 {
        assert_eq!(
            ask(&service, "GET", "/api/algorithm/current").await,
            instead
        );
    }
    // What the client did wrong stays what it is, and shows that the app serves again.
    assert_eq!(ask(&service, "GET", "/api/algorithm/x").await.0, 404);
    assert_eq!(ask(&service, "GET", "/api/algorithm/x").await.0, 413);
    // Elsewhere, and for a method that does something, nothing stands in.
    assert_eq!(ask(&service, "GET", "/other").await.0, 500);
    assert_eq!(ask(&service, "POST", "/api/algorithm/current").await.0, 500);
    assert_eq!(fallback.used(Cause::UpstreamError), 2);
    assert_eq!(fallback.used(Cause::BreakerOpen), 1);
    let told = told.lock().unwrap();
    assert_eq!(*told, [Some(Cause::UpstreamError), None]);
}

#[tokio::test]
async fn only_the_failures_it_is_for_are_covered() {
    let mut only = fallback(document());
    only.when = vec![Cause::BreakerOpen];
    only.methods.push(Method::POST);
    let (service, _, _) = service(only, |number| match number {
        1 => Ok(answer(500)),
        _ => Err(Error::new(&catalogue::CIRCUIT_OPEN)),
    });
    assert_eq!(ask(&service, "GET", "/api/algorithm").await.0, 500);
    assert_eq!(ask(&service, "POST", "/api/algorithm").await.0, 200);
}

#[tokio::test]
async fn a_missing_flag_is_answered_without_the_app() {
    let mut standing = fallback(document());
    standing.standing = Some(Cause::FlagMissing);
    let (service, seen, fallback) = service(standing, |_| Ok(answer(200)));
    assert_eq!(
        ask(&service, "GET", "/api/algorithm").await.2.as_deref(),
        Some(ANNOUNCED)
    );
    assert_eq!((seen.calls(), fallback.used(Cause::FlagMissing)), (0, 1));
}

#[tokio::test]
async fn the_app_is_told_and_no_client_can_say_it_in_our_place() {
    let degraded = Arc::new(AtomicBool::new(false));
    let is = degraded.clone();
    let fallback = fallback(Toward::App).degraded_when(move || is.load(Ordering::Relaxed));
    let (service, _, fallback) = service(fallback, |_| Ok(answer(200)));
    let told = |service: FallBack<App>| async move {
        let mut request = request("POST", "/api/algorithm", "");
        let lie = HeaderValue::from_static("algorithm=LIE");
        request.headers_mut().insert("x-fallback", lie);
        let answer = service.oneshot(request).await.expect("an answer");
        answer.headers().get("x-told").cloned()
    };
    assert_eq!(told(service.clone()).await, None);
    degraded.store(true, Ordering::Relaxed);
    assert_eq!(told(service.clone()).await.expect("told"), ANNOUNCED);
    assert_eq!(fallback.used(Cause::Degraded), 1);
    degraded.store(false, Ordering::Relaxed);
    assert_eq!(told(service).await, None);
}
