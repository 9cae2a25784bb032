//! An app that gets nowhere: told from a slow one, from a dead one and from one whose database is down.

use std::net::SocketAddr;
use std::time::Duration;

use seaworthy_testkit::process::{Builder, Seaworthy, Signal, kill};
use seaworthy_testkit::server::{Gap, Mode, Postgres, python};
use seaworthy_testkit::wait::{PATIENCE, until};
use seaworthy_testkit::{Result, client};
use serde_json::Value;
use tokio::task::JoinHandle;

/// A stall takes three seconds here, and no request may take longer.
const JUDGED: &str =
    "limits: {response_timeout: 2s}\nhealth:\n  interval: 500ms\n  recheck: 200ms\n  timeout: 1s\n";

fn app(yaml: &str) -> Result<Builder> {
    let uvicorn = python("uvicorn")?.display().to_string();
    let builder = Seaworthy::run([uvicorn.as_str(), "pooled:app"]).config(yaml);
    Ok(builder.current_dir(seaworthy_testkit::fixtures()))
}

/// The app with a pool of connections to the database at `url`, and our own check of it.
fn pooled(url: &str, live: &str) -> Result<Builder> {
    let checks = format!("  checks: [{{kind: postgres, name: database, url: \"{url}\"}}]\n");
    Ok(app(&format!("{JUDGED}{checks}{live}"))?.env("DATABASE_URL", url))
}

async fn code(seaworthy: &Seaworthy, path: &str) -> Result<u16> {
    Ok(client::get(seaworthy.public(), path).await?.status)
}

async fn app_pid(seaworthy: &Seaworthy) -> Result<u64> {
    let ping = client::get(seaworthy.public(), "/ping").await?.json()?;
    let pid = ping["pid"].as_u64();
    pid.ok_or_else(|| anyhow::anyhow!("no pid in {ping}"))
}

async fn detail(seaworthy: &Seaworthy) -> Result<Value> {
    seaworthy.look("/health").await?.json()
}

async fn wait_code(seaworthy: &Seaworthy, path: &str, wanted: u16) -> Result<()> {
    let what = format!("{path} answering {wanted}");
    until(&what, PATIENCE, || async {
        code(seaworthy, path)
            .await
            .ok()
            .filter(|found| *found == wanted)
    })
    .await
    .map(drop)
}

async fn wait_verdict(seaworthy: &Seaworthy, wanted: &str) -> Result<()> {
    until(&format!("the verdict {wanted}"), PATIENCE, || async {
        detail(seaworthy)
            .await
            .ok()
            .filter(|found| found["verdict"] == wanted)
    })
    .await
    .map(drop)
}

/// Clients that order and ping without a pause, whatever they are answered.
fn customers(to: SocketAddr) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let (order, ping) = tokio::join!(client::get(to, "/orders"), client::get(to, "/ping"));
            if order.is_err() || ping.is_err() {
                tokio::task::yield_now().await;
            }
        }
    })
}

/// What happened for 17 hours to somebody: the pool is dead, pings are answered, and nobody restarts it.
#[tokio::test]
async fn an_app_with_a_dead_pool_that_answers_pings_is_started_again_once_with_its_evidence()
-> Result<()> {
    let database = Postgres::start().await?;
    let seaworthy = pooled(&database.url(), "  live: {stall_after: 3s}\n")?
        .ready()
        .await?;
    assert_eq!(code(&seaworthy, "/orders").await?, 200);
    assert_eq!(detail(&seaworthy).await?["verdict"], "well");
    let first = app_pid(&seaworthy).await?;
    assert_eq!(code(&seaworthy, "/leak").await?, 200);
    let customers = customers(seaworthy.public());

    let stalled = seaworthy.wait_event("app.stalled").await?;
    let says = |key: &str, what: &str| {
        assert!(
            stalled[key].as_str().unwrap_or_default().contains(what),
            "{what}: {stalled}"
        );
    };
    says("cause", "gets nowhere");
    says("evidence", "nothing was answered well for");
    says("evidence", "pid");
    says("evidence", "of CPU in the last");
    says("next", "ended with SIGABRT and started again");
    wait_code(&seaworthy, "/orders", 200).await?;
    assert_ne!(app_pid(&seaworthy).await?, first);
    let status = seaworthy.status().await?;
    let told =
        |event: &Value| event["event"] == "app.stalled" && event["text"] == stalled["message"];
    let events = status["events"].as_array().cloned().unwrap_or_default();
    assert!(events.iter().any(told), "{status}");
    // Python's own words for the stacks of its threads.
    let written = seaworthy.output().stderr();
    assert!(written.contains("Fatal Python error: Aborted"), "{written}");
    assert!(written.contains("most recent call first"), "{written}");

    // It works now, and so it is left alone.
    let later = seaworthy.output().events("app.ready").len();
    tokio::time::sleep(Duration::from_secs(6)).await;
    customers.abort();
    assert_eq!(seaworthy.output().events("app.ready").len(), later);
    assert_eq!(seaworthy.output().events("app.stalled").len(), 1);
    assert_eq!(detail(&seaworthy).await?["verdict"], "well");
    let page = seaworthy.look("/metrics").await?.text();
    assert!(
        page.contains("seaworthy_child_restarts_total 1\n"),
        "{page}"
    );
    Ok(())
}

#[tokio::test]
async fn the_same_stall_restarts_nothing_while_the_database_is_down() -> Result<()> {
    let database = Postgres::start().await?;
    let network = Gap::before(database.address())?;
    let url = database.url_at(network.address());
    let seaworthy = pooled(&url, "  live: {stall_after: 3s}\n")?.ready().await?;
    let first = app_pid(&seaworthy).await?;
    let customers = customers(seaworthy.public());
    network.set(Mode::Silent).await?;
    let stalled = seaworthy.wait_event("app.stalled").await?;
    let next = stalled["next"].as_str().unwrap_or_default();
    assert!(
        next.contains("not started again") && next.contains("database: "),
        "{stalled}"
    );
    let detail = detail(&seaworthy).await?;
    assert_eq!(detail["verdict"], "dependency_broken", "{detail}");
    assert_eq!(code(&seaworthy, "/health/live").await?, 200);
    assert_eq!(code(&seaworthy, "/health/ready").await?, 503);
    // Twice the time of a stall.
    tokio::time::sleep(Duration::from_secs(6)).await;
    network.set(Mode::Pass).await?;
    wait_code(&seaworthy, "/orders", 200).await?;
    seaworthy.wait_event("app.recovered").await?;
    wait_verdict(&seaworthy, "well").await?;
    customers.abort();
    assert_eq!(app_pid(&seaworthy).await?, first);
    assert_eq!(seaworthy.output().events("app.started").len(), 1);
    Ok(())
}

/// Accepts every connection and answers none.
const DEAF: &str = "import os, socket
listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
kept = []
while True:
    kept.append(listener.accept())
";

/// An instance that a new start does not mend is left to the platform, which liveness tells.
#[tokio::test]
async fn a_start_that_does_not_help_is_the_only_one() -> Result<()> {
    let yaml = format!("{JUDGED}  live: {{stall_after: 2s, upstream: true, ignore: [/ping]}}\n");
    let seaworthy = Seaworthy::run(["python3", "-c", DEAF])
        .config(&yaml)
        .ready()
        .await?;
    let told = seaworthy.wait_events("app.stalled", 2, PATIENCE).await?;
    let next = |at: usize| told[at]["next"].as_str().unwrap_or_default().to_owned();
    assert!(next(0).contains("started again"), "{told:?}");
    assert!(next(1).contains("left alone"), "{told:?}");
    wait_code(&seaworthy, "/health/live", 503).await?;
    let live = client::get(seaworthy.public(), "/health/live")
        .await?
        .json()?;
    assert_eq!(
        live["message"], "the app gets nowhere with its requests",
        "{live}"
    );
    assert_eq!(detail(&seaworthy).await?["verdict"], "app_broken");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(seaworthy.output().events("app.started").len(), 2);
    Ok(())
}

/// Nobody asks it for anything, so that only asking it shows that its event loop does not turn.
#[tokio::test]
async fn a_blocked_event_loop_is_found_without_requests_and_its_stack_names_the_culprit()
-> Result<()> {
    let database = Postgres::start().await?;
    let live = "  live: {stall_after: 3s, upstream: true}\n";
    let seaworthy = pooled(&database.url(), live)?.ready().await?;
    let blocked = client::get(seaworthy.public(), "/block").await?;
    assert_eq!(blocked.status, 504);
    seaworthy.wait_event("app.stalled").await?;
    wait_code(&seaworthy, "/orders", 200).await?;
    let written = seaworthy.output().stderr();
    assert!(written.contains("in block"), "{written}");
    Ok(())
}

#[tokio::test]
async fn a_suspended_app_is_started_again_when_it_is_asked_itself() -> Result<()> {
    let live = "  live: {stall_after: 2s, upstream: true}\n";
    let database = Postgres::start().await?;
    let seaworthy = pooled(&database.url(), live)?.ready().await?;
    let first = app_pid(&seaworthy).await?;
    kill(u32::try_from(first)?, Signal::STOP)?;
    wait_code(&seaworthy, "/health/ready", 503).await?;
    let stalled = seaworthy.wait_event("app.stalled").await?;
    let evidence = stalled["evidence"].as_str().unwrap_or_default();
    assert!(evidence.contains("stopped by a signal"), "{stalled}");
    wait_code(&seaworthy, "/orders", 200).await?;
    assert_ne!(app_pid(&seaworthy).await?, first);
    Ok(())
}

/// Eight requests wait for each other, and one of them is answered every second and a half.
#[tokio::test]
async fn a_slow_app_that_gets_on_is_never_stalled() -> Result<()> {
    let database = Postgres::start().await?;
    let yaml = "limits: {response_timeout: 60s}\nhealth: {live: {stall_after: 4s}}\n";
    let seaworthy = app(yaml)?
        .env("DATABASE_URL", database.url())
        .ready()
        .await?;
    let slow = (0..8).map(|_| client::get(seaworthy.public(), "/slow"));
    for answer in futures_util::future::join_all(slow).await {
        assert_eq!(answer?.status, 200);
    }
    assert!(seaworthy.output().events("app.stalled").is_empty());
    assert_eq!(detail(&seaworthy).await?["verdict"], "well");
    Ok(())
}

/// Liveness follows no dependency, and the file cannot make it.
#[tokio::test]
async fn a_dependency_among_the_checks_of_liveness_is_refused_with_its_place() -> Result<()> {
    let yaml = "health:\n  checks:\n    - {kind: tcp, name: db, addr: \"127.0.0.1:5432\"}\n  live:\n    checks: [db]\n";
    let ended = Seaworthy::build()
        .config(yaml)
        .connect(SocketAddr::from(([127, 0, 0, 1], 9)))
        .end(PATIENCE)
        .await?;
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    for part in [
        "liveness cannot depend on `db`",
        "seaworthy.yaml:5:14",
        "readiness follows it already",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    Ok(())
}
