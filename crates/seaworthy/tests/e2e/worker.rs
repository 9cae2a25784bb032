//! A service that takes no requests: probes are all that is public, and its heartbeat says whether it works.

use std::time::Duration;

use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{PATIENCE, until};
use seaworthy_testkit::{Result, client};

async fn code(seaworthy: &Seaworthy, path: &str) -> Result<u16> {
    Ok(client::get(seaworthy.public(), path).await?.status)
}

#[tokio::test]
async fn a_worker_has_probes_and_nothing_else() -> Result<()> {
    let worker = Seaworthy::run(["sleep", "999"]).set("service.kind", "worker");
    let mut seaworthy = worker.set("shutdown.propagation", "0s").ready().await?;
    for (path, wanted) in [
        ("/health/live", 200),
        ("/health/ready", 200),
        ("/health/startup", 200),
        ("/", 404),
    ] {
        assert_eq!(code(&seaworthy, path).await?, wanted, "{path}");
    }
    let status = seaworthy.status().await?;
    assert_eq!(status["app"]["instances"][0]["state"], "ready", "{status}");
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_dies_is_not_ready_and_comes_back() -> Result<()> {
    let worker = Seaworthy::run(["sleep", "999"]).set("service.kind", "worker");
    let seaworthy = worker.ready().await?;
    seaworthy.kill_app(0).await?;
    seaworthy.wait_events("app.ready", 2, PATIENCE).await?;
    seaworthy.ready(PATIENCE).await
}

/// It touches its file for three seconds and hangs then, once; after the new start it goes on.
const WORKER: &str = "import os, pathlib, sys, time
beat, first = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1] + '.first')
begun, hangs = time.monotonic(), not first.exists()
first.touch()
while True:
    if hangs and time.monotonic() - begun > 3:
        time.sleep(3600)
    beat.touch()
    time.sleep(0.1)
";

#[tokio::test]
async fn a_worker_whose_heart_stops_is_started_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let beat = folder.path().join("beat").display().to_string();
    let yaml = format!(
        "service: {{kind: worker}}\nlimits: {{response_timeout: 2s}}\nhealth:\n  interval: 200ms\n  checks:\n    \
         - {{kind: heartbeat, name: mailer, file: \"{beat}\", stale_after: 2s}}\n  live: {{checks: [mailer], stall_after: 2s}}\n"
    );
    let seaworthy = Seaworthy::run(["python3", "-c", WORKER, &beat])
        .config(&yaml)
        .ready()
        .await?;
    let stalled = seaworthy.wait_event("app.stalled").await?;
    let cause = stalled["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("mailer: no heartbeat"), "{stalled}");
    seaworthy.wait_events("app.ready", 2, PATIENCE).await?;
    until("readiness", PATIENCE, || async {
        let ready = code(&seaworthy, "/health/ready").await.ok()?;
        (ready == 200).then_some(())
    })
    .await?;
    let written = seaworthy.output().stderr();
    assert!(written.contains("Fatal Python error: Aborted"), "{written}");
    // Longer than it took to be found stalled the first time.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(seaworthy.output().events("app.started").len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_a_worker_cannot_have_is_refused() -> Result<()> {
    for (key, value, says) in [
        ("app.connect", "127.0.0.1:9", "a worker listens nowhere"),
        ("health.live.upstream", "true", "a worker cannot be asked"),
    ] {
        let worker = Seaworthy::run(["sleep", "999"]).set("service.kind", "worker");
        let ended = worker.set(key, value).end(PATIENCE).await?;
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    Ok(())
}
