//! An app that keeps dying, dies once, or takes its time: what clients and whoever supervises us see.

use std::time::Duration;

use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::process::{Ended, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::PATIENCE;
use seaworthy_testkit::{Result, alone};
use tokio::task::JoinSet;

/// Runs an app that is this shell script until everything has ended.
async fn ended(script: &str, settings: &[(&str, &str)]) -> Result<Ended> {
    let builder = Seaworthy::run(["sh", "-c", script]);
    let set = settings
        .iter()
        .fold(builder, |builder, (key, value)| builder.set(key, value));
    set.end(PATIENCE).await
}

/// A mock that is started by a shell script once `before` has run.
fn mock_after(before: &str) -> Result<Vec<String>> {
    let mock = App::Mock.command()?.join(" ");
    Ok(["sh", "-c", &format!("{before}; exec {mock}")]
        .map(str::to_owned)
        .into())
}

/// A running instance whose app has just died early and waits for half a minute.
async fn waiting() -> Result<Seaworthy> {
    let seaworthy = Seaworthy::run(App::Mock.command()?)
        .set("app.restart.stable_after", "1h")
        .set("app.restart.base", "30s")
        .ready()
        .await?;
    let crashed = client::get(seaworthy.public(), "/crash").await?;
    let kind = crashed.error_type();
    assert_eq!(
        (crashed.status, kind.as_deref()),
        (502, Some("UpstreamCrashed"))
    );
    let backing_off =
        |status: &serde_json::Value| status["app"]["instances"][0]["state"] == "backoff";
    seaworthy
        .wait_status("the backoff", PATIENCE, backing_off)
        .await?;
    Ok(seaworthy)
}

fn kind(answer: &Response) -> (u16, String) {
    (answer.status, answer.error_type().unwrap_or_default())
}

#[tokio::test]
async fn five_early_deaths_end_it_with_the_apps_code() -> Result<()> {
    let fast = [("app.restart.base", "20ms")];
    let ended = ended("echo life; exit 7", &fast).await?;
    assert_eq!(ended.code(), 7, "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 5, "{}", ended.stdout);
    assert!(ended.stderr.contains("\"app.gave_up\""), "{}", ended.stderr);
    for wait in ["20ms", "40ms", "80ms", "160ms"] {
        assert!(
            ended.stderr.contains(&format!("again in {wait}")),
            "{wait}: {}",
            ended.stderr
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_restarts_the_apps_code_is_passed_on() -> Result<()> {
    let never = [("app.restart.policy", "never")];
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
        ("kill -6 $$", 134),
    ] {
        let ended = ended(script, &never).await?;
        assert_eq!(ended.code(), code, "{script}: {}", ended.stderr);
    }
    let on_failure = [("app.restart.policy", "on-failure")];
    assert_eq!(ended("exit 0", &on_failure).await?.code(), 0);
    Ok(())
}

#[tokio::test]
async fn backoff_answers_at_once_and_stays_alive() -> Result<()> {
    let seaworthy = waiting().await?;
    let public = seaworthy.public();
    let mut connection = Connection::open(public).await?;
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = std::time::Instant::now();
        let answer = connection.ask("GET", "/echo", &[], b"").await?;
        times.push(begun.elapsed());
        assert_eq!(kind(&answer), (503, "Restarting".to_owned()));
        let after: u64 = answer.header("retry-after").unwrap_or_default().parse()?;
        assert!((1..=30).contains(&after), "Retry-After: {after}");
    }
    times.sort();
    eprintln!(
        "503 during backoff: median {:?}, slowest {:?} of 50",
        times[25], times[49]
    );
    // Far below the backoff itself; a machine that is busy must not fail this.
    assert!(times[25] < Duration::from_secs(1));
    assert_eq!(client::get(public, "/health/ready").await?.status, 503);
    assert_eq!(client::get(public, "/health/live").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn backoff_can_be_stopped() -> Result<()> {
    let mut seaworthy = waiting().await?;
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_crash_of_a_stable_app_is_mended_at_once() -> Result<()> {
    let builder = Seaworthy::run(App::Mock.command()?).set("app.restart.stable_after", "1ms");
    let seaworthy = builder.set("app.restart.base", "30s").ready().await?;
    let crashed = client::get(seaworthy.public(), "/crash").await?;
    assert_eq!(kind(&crashed), (502, "UpstreamCrashed".to_owned()));
    // Parked until the next life is ready: with any backoff it would be refused.
    assert_eq!(client::get(seaworthy.public(), "/echo").await?.status, 200);
    assert_eq!(
        client::get(seaworthy.public(), "/health/ready")
            .await?
            .status,
        200
    );
    let restarts = seaworthy.metric("seaworthy_child_restarts_total").await?;
    assert!((restarts - 1.0).abs() < f64::EPSILON, "{restarts}");
    Ok(())
}

#[tokio::test]
async fn requests_wait_for_an_app_that_boots() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let go = folder.path().join("go");
    let command = mock_after(&format!(
        "until [ -e {} ]; do sleep 0.05; done",
        go.display()
    ))?;
    let seaworthy = Seaworthy::run(command).start().await?;
    let public = seaworthy.public();
    let mut parked = JoinSet::new();
    for _ in 0..20 {
        parked.spawn(
            async move { Ok::<_, anyhow::Error>(client::get(public, "/echo").await?.status) },
        );
    }
    seaworthy.wait_inflight(20).await?;
    assert_eq!(client::get(public, "/health/startup").await?.status, 503);
    assert_eq!(client::get(public, "/health/live").await?.status, 200);
    std::fs::write(&go, "")?;
    let statuses = parked
        .join_all()
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    assert_eq!(statuses, [200; 20]);
    assert_eq!(client::get(public, "/health/startup").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn requests_wait_no_longer_than_they_are_told_to() -> Result<()> {
    let builder = Seaworthy::run(["sleep", "600"]).set("app.startup.park", "300ms");
    let seaworthy = builder.start().await?;
    let begun = std::time::Instant::now();
    let answer = client::get(seaworthy.public(), "/echo").await?;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(kind(&answer), (503, "Starting".to_owned()));
    assert!(answer.header("retry-after").is_some());
    Ok(())
}

#[tokio::test]
async fn an_app_that_never_listens_ends_it_with_the_reason() -> Result<()> {
    let seaworthy = Seaworthy::run(["sleep", "600"]).set("app.startup.timeout", "1s");
    let mut seaworthy = seaworthy.start().await?;
    let startup = client::get(seaworthy.public(), "/health/startup").await?;
    assert_eq!(startup.status, 503);
    let event = seaworthy.wait_event("app.never_listened").await?;
    let text = event.to_string();
    assert!(
        text.contains("does not listen") && text.contains("app.startup.timeout"),
        "{text}"
    );
    assert_eq!(seaworthy.code(PATIENCE).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_wedged_app_costs_its_clients_a_timeout_and_no_probe() -> Result<()> {
    let builder = Seaworthy::run(App::Mock.command()?).set("limits.response_timeout", "300ms");
    let seaworthy = builder.ready().await?;
    let answer = client::get(seaworthy.public(), "/hang").await?;
    assert_eq!(kind(&answer), (504, "UpstreamTimeout".to_owned()));
    assert_eq!(
        client::get(seaworthy.public(), "/health/live")
            .await?
            .status,
        200
    );
    assert_eq!(client::get(seaworthy.public(), "/echo").await?.status, 200);
    Ok(())
}

/// A memory cgroup with a small limit, removed when dropped.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn new() -> Option<Self> {
        let name = format!("seaworthy-test-{}", std::process::id());
        let (first, second) = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup");
        let (root, file) = if std::path::Path::new(first).exists() {
            (first, "memory.limit_in_bytes")
        } else {
            (second, "memory.max")
        };
        let folder = std::path::Path::new(root).join(name);
        std::fs::create_dir(&folder).ok()?;
        let group = Self(folder);
        let limit = (96 << 20).to_string();
        std::fs::write(group.0.join(file), limit).ok()?;
        Some(group)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.0).ok();
    }
}

#[tokio::test]
async fn running_out_of_memory_is_told_from_a_kill() -> Result<()> {
    let _turn = alone().await;
    let eat = "import os\nos.environ['EAT'] and [bytearray(1 << 20) for _ in range(400)]\nos.kill(os.getpid(), 9)";
    let group = Cgroup::new();
    for (hungry, told) in [("yes", group.is_some()), ("", false)] {
        let mut builder = Seaworthy::run(["python3", "-c", eat])
            .env("EAT", hungry)
            .set("app.restart.policy", "never");
        if let Some(Cgroup(folder)) = &group {
            let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", folder.display());
            builder = builder.under(["sh", "-c", &enter, "sh"]);
        }
        let ended = builder.end(PATIENCE).await?;
        assert_eq!(ended.code(), 137, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("was killed by SIGKILL"),
            "{}",
            ended.stderr
        );
        let blamed = ended.stderr.contains("because memory ran out");
        assert_eq!(blamed, told, "EAT={hungry}: {}", ended.stderr);
    }
    Ok(())
}
