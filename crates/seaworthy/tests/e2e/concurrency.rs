//! How many requests are inside at a time, and what becomes of the others.

use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

use crate::front::Front;
use crate::reload::{reload, write};

/// So many requests at a time, of which each has its own connection.
async fn crowd(front: &Front, path: &str, size: usize) -> Result<Vec<Response>> {
    let public = front.seaworthy.public();
    let ask = |_| async move { client::get(public, path).await };
    let answers = futures_util::future::join_all((0..size).map(ask)).await;
    answers.into_iter().collect()
}

fn count(answers: &[Response], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

async fn pools(front: &Front) -> Result<Value> {
    front.seaworthy.look("/-/concurrency").await?.json()
}

#[tokio::test]
async fn of_four_hundred_at_once_some_are_refused_and_none_hangs() -> Result<()> {
    let front = Front::configured("concurrency: {max: 8, queue: 16, queue_timeout: 10s}").await?;
    let answers = crowd(&front, "/sleep/300", 400).await?;
    let (served, refused) = (count(&answers, 200), count(&answers, 503));
    assert_eq!(served + refused, 400);
    assert!(served >= 24, "eight and those who waited: {served}");
    assert!(refused > 0);
    let one = answers.iter().find(|answer| answer.status == 503);
    let one = one.map(Response::json).transpose()?.unwrap_or_default();
    assert_eq!(one["error"]["type"], "Overloaded");
    assert_eq!(one["error"]["details"]["reason"], "queue_full");
    front.seaworthy.wait_inflight(0).await?;
    let shown = pools(&front).await?;
    assert_eq!(shown["pools"][0]["name"], "all");
    for (key, value) in [
        ("limit", 8),
        ("inside", 0),
        ("waiting", 0),
        ("refused", refused),
    ] {
        assert_eq!(shown["pools"][0][key], value, "{key} of {shown}");
    }
    Ok(())
}

#[tokio::test]
async fn probes_are_answered_while_every_place_is_taken() -> Result<()> {
    let front = Front::configured("concurrency: {max: 1, queue: 1, queue_timeout: 60s}").await?;
    let mut inside = Connection::open(front.seaworthy.public()).await?;
    inside
        .send(client::request("GET", "/hang", &[], b""))
        .await?;
    front.seaworthy.wait_inflight(1).await?;
    let mut waiting = Connection::open(front.seaworthy.public()).await?;
    waiting
        .send(client::request("GET", "/echo", &[], b""))
        .await?;
    front.seaworthy.wait_inflight(2).await?;
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(
            client::get(front.seaworthy.public(), path).await?.status,
            200
        );
    }
    assert_eq!(
        client::get(front.seaworthy.public(), "/echo").await?.status,
        503
    );
    // Whoever holds the place leaves, and the next has it.
    inside.reset()?;
    assert_eq!(waiting.response("GET").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_route_has_places_of_its_own_and_what_matters_more_goes_first() -> Result<()> {
    let yaml = "
concurrency: {max: 2, queue: 1, queue_timeout: 60s}
routes:
  - {match: /hang, concurrency: {max: 1}}
  - {match: /echo, priority: high}
  - {match: /bytes/*, priority: low}
";
    let front = Front::configured(yaml).await?;
    let public = front.seaworthy.public();
    let mut hung = Connection::open(public).await?;
    hung.send(client::request("GET", "/hang", &[], b"")).await?;
    front.seaworthy.wait_inflight(1).await?;
    let second = client::get(public, "/hang").await?;
    assert_eq!(second.status, 503, "its route is full");
    assert_eq!(
        client::get(public, "/echo").await?.status,
        200,
        "others are not"
    );

    let mut holder = Connection::open(public).await?;
    holder
        .send(client::request("GET", "/sleep/60000", &[], b""))
        .await?;
    let seaworthy = &front.seaworthy;
    seaworthy
        .wait_status(
            "both places taken",
            seaworthy_testkit::wait::PATIENCE,
            |status| status["inflight"].as_u64() >= Some(2),
        )
        .await?;
    let mut low = Connection::open(public).await?;
    low.send(client::request("GET", "/bytes/1", &[], b""))
        .await?;
    seaworthy_testkit::wait::until(
        "a low one in the queue",
        seaworthy_testkit::wait::PATIENCE,
        || async {
            let shown = pools(&front).await.ok()?;
            let all = shown["pools"]
                .as_array()?
                .iter()
                .find(|pool| pool["name"] == "all")?;
            (all["waiting"] == 1).then_some(())
        },
    )
    .await?;
    let mut high = Connection::open(public).await?;
    high.send(client::request("GET", "/echo", &[], b"")).await?;
    let displaced = low.response("GET").await?;
    assert_eq!(displaced.status, 503);
    assert_eq!(displaced.json()?["error"]["details"]["reason"], "displaced");
    holder.reset()?;
    assert_eq!(high.response("GET").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn an_adaptive_limit_finds_what_the_app_can_do() -> Result<()> {
    let yaml = "concurrency: {max: 200, queue: 0, adaptive: {initial: 4}}";
    let front = Front::configured(yaml).await?;
    let grown =
        seaworthy_testkit::wait::until("a higher limit", Duration::from_secs(60), || async {
            crowd(&front, "/sleep/10", 64).await.ok()?;
            let shown = pools(&front).await.ok()?;
            shown["pools"][0]["limit"]
                .as_u64()
                .filter(|limit| *limit > 8)
        });
    grown.await?;
    let metric = front.seaworthy.look("/metrics").await?.text();
    assert!(
        metric.contains("seaworthy_concurrency_limit{pool=\"all\"}"),
        "{metric}"
    );
    Ok(())
}

#[tokio::test]
async fn what_matters_less_is_refused_while_memory_is_short() -> Result<()> {
    // Every machine that runs this has more than a hundredth of its memory in use.
    let yaml = "concurrency: {max: 10, memory: {low: 1, normal: 99, high: 100}}\n\
                routes: [{match: /echo, priority: low}]\n";
    let front = Front::configured(yaml).await?;
    let public = front.seaworthy.public();
    let refused = || async {
        let answer = client::get(public, "/echo").await.ok()?;
        (answer.status == 503).then_some(answer)
    };
    let refused = wait::until("requests of low priority refused", PATIENCE, refused).await?;
    assert_eq!(refused.json()?["error"]["type"], "Overloaded");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(client::get(public, "/status/200").await?.status, 200);
    assert_eq!(client::get(public, "/health/live").await?.status, 200);
    front.seaworthy.wait_event("memory.pressure").await?;
    // Without the rule nobody is refused any more.
    write(
        &front.seaworthy,
        "concurrency: {max: 10}\nroutes: [{match: /echo, priority: low}]\n",
    )?;
    assert_eq!(reload(&front.seaworthy).await?.0, 200);
    assert_eq!(client::get(public, "/echo").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn contradictions_are_refused_with_a_way_out() -> Result<()> {
    let yaml = "concurrency: {max: 4, adaptive: {initial: 20}, memory: {low: 90, normal: 80}, queue_timeout: 0s}\n";
    let build = Seaworthy::build()
        .config(yaml)
        .connect(seaworthy_testkit::address::free()?);
    let ended = build.end(seaworthy_testkit::wait::PATIENCE).await?;
    assert_eq!(ended.code(), 2);
    for words in ["may not exceed `max`", "rising order", "no time at all"] {
        assert!(
            ended.stderr.contains(words),
            "`{words}` is missing in {}",
            ended.stderr
        );
    }
    Ok(())
}
