//! Requests that are sent again, on the real binary.

use std::time::{Duration, Instant};

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::load::Load;
use seaworthy_testkit::origin::{Origin, Script};

use crate::breakers::{admin, first, get, one_worker, status, well};
use crate::front::before_with;

const SEED: &str = "{max: 3, base: 100ms, factor: 2, max_delay: 2s, jitter: full, on: [connect, 502, 503, 504], methods: [GET, HEAD, PUT, DELETE], budget: 20%}";

#[tokio::test]
async fn a_get_is_sent_again_with_growing_waits_and_a_post_is_not() -> Result<()> {
    let builder = one_worker().set("retry", SEED);
    let (seaworthy, origin) = before_with(first(&[503, 503], well()), builder).await?;
    let began = Instant::now();
    let answer = get(&seaworthy, "/fail").await?;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"well"[..]));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(origin.requests().len(), 3);
    assert_eq!(
        origin.connections(),
        1,
        "an answer that is given up does not cost its connection"
    );

    let builder = one_worker().set("retry", SEED);
    let (seaworthy, origin) = before_with(first(&[503, 503], well()), builder).await?;
    let answer = client::send(seaworthy.public(), "POST", "/", &[("Host", "t")], b"once").await?;
    assert_eq!(answer.status, 503);
    assert_eq!(origin.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_route_may_promise_that_its_posts_do_no_harm_twice() -> Result<()> {
    let builder = one_worker().set(
        "routes",
        "[{match: POST /v1/predict, retry: {delays: [10ms], unsafe_methods: true}}]",
    );
    let (seaworthy, origin) = before_with(first(&[503, 503], well()), builder).await?;
    let body = [b'x'; 5_000];
    let answer = client::send(
        seaworthy.public(),
        "POST",
        "/v1/predict",
        &[("Host", "t")],
        &body,
    )
    .await?;
    assert_eq!(answer.status, 200);
    assert_eq!(origin.requests().len(), 3);
    let sent = origin.bytes().iter().filter(|byte| **byte == b'x').count();
    assert!(sent >= 15_000, "each try has the whole body: {sent}");
    Ok(())
}

#[tokio::test]
async fn explicit_delays_are_kept_to() -> Result<()> {
    let builder = one_worker().set("retry", "{delays: [100ms, 500ms]}");
    let (seaworthy, origin) = before_with(first(&[503, 503], well()), builder).await?;
    let began = Instant::now();
    assert_eq!(get(&seaworthy, "/").await?.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(600));
    assert_eq!(origin.requests().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_too_large_to_keep_is_sent_once() -> Result<()> {
    let builder = one_worker().set("retry", "{delays: [10ms], keep_body: 1KiB}");
    let (seaworthy, origin) = before_with(first(&[503, 503], well()), builder).await?;
    let body = [b'x'; 5_000];
    let answer = client::send(seaworthy.public(), "PUT", "/", &[("Host", "t")], &body).await?;
    assert_eq!(answer.status, 503);
    assert_eq!(origin.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_open_breaker_ends_the_tries_and_each_try_counts() -> Result<()> {
    let builder = one_worker()
        .set("retry", "{max: 3, delays: [10ms]}")
        .set("breakers", "{default: {failures: 5, recovery: 60s}}");
    let (seaworthy, origin) = before_with(Script::always(status(503)), builder).await?;
    assert_eq!(get(&seaworthy, "/").await?.body, b"trouble");
    assert_eq!(origin.requests().len(), 4);
    assert_eq!(
        get(&seaworthy, "/").await?.body,
        b"trouble",
        "the app's own answer"
    );
    assert_eq!(origin.requests().len(), 5, "the fifth try opened it");
    let refused = get(&seaworthy, "/").await?;
    assert_eq!(refused.error_type().as_deref(), Some("CircuitOpen"));
    assert_eq!(origin.requests().len(), 5);
    Ok(())
}

#[tokio::test]
async fn no_try_goes_beyond_the_time_of_the_whole() -> Result<()> {
    let asking = b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n".to_vec();
    let builder = one_worker()
        .set("retry", "{max: 9}")
        .set("limits.total", "2s")
        .set("limits.response_timeout", "2s");
    let (seaworthy, origin) = before_with(Script::always(asking), builder).await?;
    let answer = get(&seaworthy, "/").await?;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("60"))
    );
    assert_eq!(origin.requests().len(), 1, "nobody waits a minute");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_may_be_asked_again_even_by_a_post() -> Result<()> {
    // Nothing listens on this port of the test any more.
    let gone = Origin::tcp(Script::silent()).await?.address();
    let seaworthy = one_worker()
        .set("retry", "{max: 2, delays: [10ms]}")
        .connect(gone)
        .start()
        .await?;
    let answer = client::send(seaworthy.public(), "POST", "/", &[("Host", "t")], b"x").await?;
    assert_eq!(answer.error_type().as_deref(), Some("UpstreamUnreachable"));
    let page = admin(&seaworthy, "/metrics").await?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(page.contains("retries_total{upstream=\"app\"} 2"), "{page}");
    Ok(())
}

#[tokio::test]
async fn a_storm_costs_the_app_a_fifth_more() -> Result<()> {
    const CALLS: usize = 3_000;
    let builder = one_worker().set("retry", "{max: 3, delays: [1ms]}");
    let (seaworthy, origin) = before_with(Script::always(status(503)), builder).await?;
    let began = Instant::now();
    let report = Load::new(seaworthy.public())
        .path("/")
        .connections(20)
        .count(CALLS)
        .run()
        .await?;
    assert_eq!(report.status(503), CALLS as u64);
    let asked = origin.requests().len() as f64;
    let most = CALLS as f64 * 1.2 + 10.0 * (began.elapsed().as_secs_f64() + 1.0);
    assert!(asked <= most, "{asked} of {most}");
    assert!(asked > CALLS as f64 * 1.1, "it does try: {asked}");
    let page = admin(&seaworthy, "/metrics").await?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    assert!(
        page.contains("seaworthy_retry_budget_exhausted_total"),
        "{page}"
    );
    println!(
        "storm: {CALLS} calls cost the app {asked}, {:.3} x",
        asked / CALLS as f64
    );
    Ok(())
}
