//! The app is stopped without having ended: SIGSTOP, a debugger, a container that is frozen.

use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::process::{Process, Seaworthy, Signal, kill};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, until};
use seaworthy_testkit::{Result, scale};

/// Waits until `/health/ready` answers `status`, and returns what it said.
async fn readiness(seaworthy: &Seaworthy, status: u16) -> Result<String> {
    let public = seaworthy.public();
    until(&format!("readiness {status}"), PATIENCE, || async move {
        let answer = client::get(public, "/health/ready").await.ok()?;
        (answer.status == status).then(|| answer.text())
    })
    .await
}

/// The word for the state of each instance.
async fn words(seaworthy: &Seaworthy) -> Result<Vec<String>> {
    let status = seaworthy.status().await?;
    let instances = status["app"]["instances"].as_array();
    let words = instances.into_iter().flatten();
    Ok(words
        .map(|instance| instance["state"].as_str().unwrap_or_default().to_owned())
        .collect())
}

#[tokio::test]
async fn a_suspended_app_closes_readiness_until_it_goes_on() -> Result<()> {
    let builder = Seaworthy::run(App::Mock.command()?).set("limits.response_timeout", "300ms");
    let seaworthy = builder.ready().await?;
    let public = seaworthy.public();
    let pid = seaworthy.app_pids().await?[0];
    let times = scale::count(2);
    for time in 1..=times {
        kill(pid, Signal::STOP)?;
        let why = readiness(&seaworthy, 503).await?;
        assert!(why.contains("suspended"), "{why}");
        assert_eq!(words(&seaworthy).await?, ["suspended"]);
        for path in ["/health/live", "/health/startup"] {
            assert_eq!(client::get(public, path).await?.status, 200, "{path}");
        }
        let unanswered = client::get(public, "/echo").await?;
        assert_eq!(
            (unanswered.status, unanswered.error_type().as_deref()),
            (504, Some("UpstreamTimeout"))
        );
        kill(pid, Signal::CONT)?;
        readiness(&seaworthy, 200).await?;
        seaworthy.wait_events("app.resumed", time, PATIENCE).await?;
        assert_eq!(client::get(public, "/echo").await?.status, 200);
    }
    assert_eq!(seaworthy.output().events("app.suspended").len(), times);
    // The process that was suspended is the one that goes on.
    assert_eq!(seaworthy.app_pids().await?, [pid]);
    let restarts = seaworthy.metric("seaworthy_child_restarts_total").await?;
    assert!(restarts.abs() < f64::EPSILON, "{restarts} restarts");
    Ok(())
}

#[tokio::test]
async fn one_suspended_copy_of_two_keeps_readiness_open() -> Result<()> {
    let builder = Seaworthy::run(App::Mock.command()?).set("app.instances", 2);
    let seaworthy = builder.ready().await?;
    let both = |status: &serde_json::Value| {
        (0..2).all(|number| status["app"]["instances"][number]["state"] == "ready")
    };
    seaworthy.wait_status("both copies", PATIENCE, both).await?;
    let pids = seaworthy.app_pids().await?;
    kill(pids[0], Signal::STOP)?;
    seaworthy.wait_event("app.suspended").await?;
    assert_eq!(words(&seaworthy).await?, ["suspended", "ready"]);
    readiness(&seaworthy, 200).await?;
    kill(pids[1], Signal::STOP)?;
    readiness(&seaworthy, 503).await?;
    kill(pids[0], Signal::CONT)?;
    readiness(&seaworthy, 200).await?;
    Ok(())
}

#[tokio::test]
async fn a_suspended_app_is_stopped_like_any_other() -> Result<()> {
    let mut seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    let pid = seaworthy.app_pids().await?[0];
    kill(pid, Signal::STOP)?;
    readiness(&seaworthy, 503).await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    assert!(Process::read(pid).is_none_or(|process| process.state == 'Z'));
    Ok(())
}

#[tokio::test]
async fn a_request_that_waits_for_a_suspended_app_is_answered_when_it_goes_on() -> Result<()> {
    let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    let pid = seaworthy.app_pids().await?[0];
    kill(pid, Signal::STOP)?;
    readiness(&seaworthy, 503).await?;
    let mut waiting = Connection::open(seaworthy.public()).await?;
    waiting
        .send(client::request("GET", "/echo", &[], b""))
        .await?;
    seaworthy.wait_inflight(1).await?;
    kill(pid, Signal::CONT)?;
    assert_eq!(waiting.response("GET").await?.status, 200);
    Ok(())
}
