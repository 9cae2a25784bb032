//! Nothing is lost when instances are replaced, or when the only one stops.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::load::{Balancer, Load, Report};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::PATIENCE;
use seaworthy_testkit::{Result, alone, fixtures, scale};
use tokio::task::JoinSet;

/// The default grace period.
const GRACE_MS: u64 = 30_000;

/// The default grace period with what the machine itself may take.
const BUDGET: Duration = Duration::from_secs(40);

fn instance(app: App, folder: &Path) -> Result<Builder> {
    let builder = Seaworthy::run(app.command()?).current_dir(folder);
    Ok(builder.set("shutdown.propagation", "300ms"))
}

/// Replaces the two instances behind a balancer in turn, `times` in all, while clients ask for `path`.
async fn roll(app: App, folder: &Path, path: &str, times: usize) -> Result<Report> {
    let _turn = alone().await;
    let balancer = Balancer::start(2).await?;
    let mut slots = Vec::new();
    for slot in 0..2 {
        let seaworthy = instance(app, folder)?.ready().await?;
        balancer.set(slot, Some(seaworthy.public()));
        balancer.wait_ready(slot, true).await?;
        slots.push(seaworthy);
    }
    let load = Load::new(balancer.address())
        .path(path)
        .connections(8)
        .start();
    for number in 0..times {
        let slot = number % 2;
        let before = load.answered();
        let code = slots[slot].stop(BUDGET).await?;
        assert_eq!(code, 0, "{app:?}, rollout {number}");
        let next = instance(app, folder)?.ready().await?;
        balancer.set(slot, Some(next.public()));
        balancer.wait_ready(slot, true).await?;
        slots[slot] = next;
        assert!(
            load.answered() > before,
            "{app:?}: no traffic during rollout {number}"
        );
    }
    let report = load.stop().await?;
    let (failed, total) = (report.failures(), report.total());
    eprintln!("{app:?}: {failed} of {total} requests failed in {times} rolling restarts");
    let served = balancer.counts().served;
    assert!(served.iter().all(|count| *count > 0), "{served:?}");
    Ok(report)
}

/// Stops the only instance while `count` requests that take 1.5 s are inside.
async fn finishes_what_is_in_flight(app: App, count: usize) -> Result<()> {
    let _turn = alone().await;
    let mut seaworthy = instance(app, &fixtures())?.ready().await?;
    let public = seaworthy.public();
    let mut requests = JoinSet::new();
    for _ in 0..count {
        requests.spawn(slow(public));
    }
    seaworthy.wait_inflight(count).await?;
    assert_eq!(seaworthy.stop(BUDGET).await?, 0, "{app:?}");
    let complete = seaworthy.wait_event("shutdown.complete").await?;
    let within = complete["duration_ms"].as_u64() < Some(GRACE_MS);
    assert!(within && complete["forced"] == false, "{complete}");
    let mut answered = 0;
    while let Some(status) = requests.join_next().await {
        assert_eq!(status??, 200, "{app:?}");
        answered += 1;
    }
    eprintln!("{app:?}: {answered} of {count} requests in flight at SIGTERM were answered 200");
    assert_eq!(answered, count);
    Ok(())
}

async fn slow(public: SocketAddr) -> Result<u16> {
    Ok(client::get(public, "/sleep/1500").await?.status)
}

#[tokio::test]
async fn rolling_restarts_of_a_folder_server_lose_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("a.txt"), "hello")?;
    let report = roll(App::HttpServer, folder.path(), "/a.txt", scale::count(20)).await?;
    assert_eq!(report.failures(), 0, "{report:?}");
    Ok(())
}

#[tokio::test]
async fn an_app_that_knows_nothing_of_stopping_is_drained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Larger than all buffers between, so that the answer is still being sent when the signal comes.
    let size = 64 << 20;
    std::fs::File::create(folder.path().join("large"))?.set_len(size)?;
    let mut seaworthy = instance(App::HttpServer, folder.path())?.ready().await?;
    let mut reader = Connection::open(seaworthy.public()).await?;
    reader
        .send(client::request("GET", "/large", &[], b""))
        .await?;
    assert_eq!(reader.head().await?.status()?, 200);
    let mut kept = Connection::open(seaworthy.public()).await?;
    assert_eq!(kept.ask("GET", "/", &[], b"").await?.status, 200);
    seaworthy.terminate()?;
    seaworthy
        .wait_status("the drain", PATIENCE, |status| {
            status["state"] == "draining"
        })
        .await?;
    let refused = client::get(seaworthy.public(), "/").await?;
    assert_eq!(
        (refused.status, refused.error_type().as_deref()),
        (503, Some("ShuttingDown"))
    );
    assert!(
        refused.header("retry-after").is_some() && refused.closes(),
        "{refused:?}"
    );
    let mut left = size;
    while left > 0 {
        let piece = left.min(1 << 20);
        reader.exactly(usize::try_from(piece)?).await?;
        left -= piece;
    }
    let code = seaworthy.wait(BUDGET).await?.code();
    assert_eq!(code, Some(0));
    Ok(())
}

/// Needs the Python servers and Node.
mod real {
    use super::{App, Result, finishes_what_is_in_flight, fixtures, roll, scale};

    async fn loses_nothing(app: App, times: usize) -> Result<()> {
        // Long enough that a request is inside at every moment, also at the signal.
        let report = roll(app, &fixtures(), "/sleep/5", times).await?;
        assert_eq!(report.failures(), 0, "{app:?}: {report:?}");
        Ok(())
    }

    #[tokio::test]
    async fn rolling_restarts_of_uvicorn_lose_nothing() -> Result<()> {
        loses_nothing(App::Uvicorn, scale::count(20)).await
    }

    #[tokio::test]
    async fn rolling_restarts_of_gunicorn_lose_nothing() -> Result<()> {
        loses_nothing(App::Gunicorn, scale::count(20)).await
    }

    #[tokio::test]
    async fn rolling_restarts_of_node_lose_nothing() -> Result<()> {
        loses_nothing(App::Node, scale::count(20)).await
    }

    #[tokio::test]
    async fn uvicorn_finishes_what_is_in_flight() -> Result<()> {
        finishes_what_is_in_flight(App::Uvicorn, 20).await
    }

    #[tokio::test]
    async fn gunicorn_finishes_what_is_in_flight() -> Result<()> {
        finishes_what_is_in_flight(App::Gunicorn, 20).await
    }

    #[tokio::test]
    async fn node_finishes_what_is_in_flight() -> Result<()> {
        finishes_what_is_in_flight(App::Node, 20).await
    }
}
