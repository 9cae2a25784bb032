//! The phases of a stop, each seen from outside: who is still served, who is refused, and when it is over.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use seaworthy_testkit::client::{self, Response};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};
use seaworthy_testkit::{Result, alone};
use serde_json::Value;
use tokio::task::JoinHandle;

/// More than any stop of these tests may take.
const BUDGET: Duration = Duration::from_secs(40);

fn mock() -> Result<Builder> {
    Ok(Seaworthy::run(App::Mock.command()?))
}

/// Asks for `path` in a task of its own and waits until the request is inside.
async fn inside(seaworthy: &Seaworthy, path: &'static str) -> Result<JoinHandle<Result<Response>>> {
    let public = seaworthy.public();
    let asked = tokio::spawn(async move { client::get(public, path).await });
    seaworthy.wait_inflight(1).await?;
    Ok(asked)
}

async fn entered(seaworthy: &Seaworthy, state: &str) -> Result<Value> {
    seaworthy
        .wait_status(state, PATIENCE, |status| status["state"] == state)
        .await
}

fn kind(answer: &Response) -> (u16, String) {
    (answer.status, answer.error_type().unwrap_or_default())
}

/// An app that ignores SIGTERM.
fn stubborn() -> Builder {
    let script = "trap '' TERM; exec python3 -m http.server --bind 127.0.0.1 \"$PORT\"";
    Seaworthy::run(["sh", "-c", script])
}

#[tokio::test]
async fn both_signals_let_requests_finish() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT] {
        let mut seaworthy = mock()?.ready().await?;
        let asked = inside(&seaworthy, "/sleep/500").await?;
        seaworthy.signal(signal)?;
        assert_eq!(asked.await??.status, 200, "{signal:?}");
        assert_eq!(seaworthy.code(BUDGET).await?, 0, "{signal:?}");
        assert!(
            seaworthy
                .output()
                .stderr()
                .contains("Shutting down gracefully...")
        );
        let complete = seaworthy.output().events("shutdown.complete");
        assert_eq!(
            (&complete[0]["inflight_completed"], &complete[0]["aborted"]),
            (&1.into(), &0.into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn ctrl_c_reaches_the_app_only_after_the_drain() -> Result<()> {
    let mut seaworthy = mock()?.ready().await?;
    let asked = inside(&seaworthy, "/sleep/500").await?;
    seaworthy.group().signal_group(Signal::INT)?;
    assert_eq!(asked.await??.status, 200);
    assert_eq!(seaworthy.code(BUDGET).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_hangup_stops_neither_it_nor_its_app() -> Result<()> {
    let seaworthy = mock()?.ready().await?;
    let before = seaworthy.app_pids().await?;
    seaworthy.group().signal_group(Signal::HUP)?;
    seaworthy.wait_event("config.reloaded").await?;
    assert_eq!(client::get(seaworthy.public(), "/echo").await?.status, 200);
    assert_eq!(seaworthy.app_pids().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_second_ctrl_c_hurries_on() -> Result<()> {
    let mut seaworthy = mock()?.ready().await?;
    let asked = inside(&seaworthy, "/hang").await?;
    seaworthy.signal(Signal::INT)?;
    entered(&seaworthy, "draining").await?;
    // Two within 200 ms count as one press; this is the hand of a person, not something to await.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    seaworthy.signal(Signal::INT)?;
    assert_eq!(kind(&asked.await??), (503, "ShuttingDown".to_owned()));
    assert_eq!(seaworthy.code(BUDGET).await?, 75);
    // The drain alone would have taken twenty seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn what_outlasts_the_drain_is_told_so() -> Result<()> {
    let mut seaworthy = mock()?.set("shutdown.drain", "700ms").ready().await?;
    let public = seaworthy.public();
    let short = tokio::spawn(async move { client::get(public, "/sleep/300").await });
    seaworthy.wait_inflight(1).await?;
    let long = tokio::spawn(async move { client::get(public, "/sleep/60000").await });
    seaworthy.wait_inflight(2).await?;
    assert_eq!(seaworthy.stop(BUDGET).await?, 75);
    assert_eq!(short.await??.status, 200);
    let cut = long.await??;
    assert_eq!(kind(&cut), (503, "ShuttingDown".to_owned()));
    assert!(cut.closes(), "{cut:?}");
    let complete = seaworthy.output().events("shutdown.complete");
    assert_eq!(
        (&complete[0]["aborted"], &complete[0]["exit_code"]),
        (&1.into(), &75.into())
    );
    Ok(())
}

#[tokio::test]
async fn an_app_that_ignores_sigterm_is_killed_in_time() -> Result<()> {
    let grace = Duration::from_secs(3);
    let mut seaworthy = stubborn().set("shutdown.grace", "3s").ready().await?;
    let begun = Instant::now();
    assert_eq!(seaworthy.stop(BUDGET).await?, 75);
    let took = begun.elapsed();
    eprintln!("an app that ignores SIGTERM: gone after {took:?} of {grace:?}");
    assert!(took < grace + Duration::from_secs(5), "{took:?}");
    let complete = seaworthy.output().events("shutdown.complete");
    assert_eq!(complete[0]["forced"], true, "{complete:?}");
    let app = seaworthy.output().events("shutdown.app");
    assert!(app[0].to_string().contains("was killed"), "{app:?}");
    Ok(())
}

#[tokio::test]
async fn an_idle_service_stops_at_once() -> Result<()> {
    let mut seaworthy = mock()?.ready().await?;
    let begun = Instant::now();
    assert_eq!(seaworthy.stop(BUDGET).await?, 0);
    eprintln!("idle: gone after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn each_phase_takes_the_time_that_it_is_given() -> Result<()> {
    let half = Duration::from_millis(500);
    let sleeping = "shutdown: {hooks: [{name: sleeps, exec: [sleep, '99']}]}";
    let idle = mock()?;
    for (builder, key, path) in [
        (idle, "shutdown.propagation", None),
        (mock()?, "shutdown.drain", Some("/hang")),
        (mock()?.config(sleeping), "shutdown.hooks_timeout", None),
        (stubborn(), "shutdown.app", None),
    ] {
        let mut seaworthy = builder.set(key, "500ms").ready().await?;
        let asked = match path {
            Some(path) => Some(inside(&seaworthy, path).await?),
            None => None,
        };
        let begun = Instant::now();
        seaworthy.stop(BUDGET).await?;
        let took = begun.elapsed();
        eprintln!("{key}=500ms: gone after {took:?}");
        // The next phase in line would add seconds.
        assert!(
            took >= half && took < half + Duration::from_secs(3),
            "{key}: {took:?}"
        );
        if let Some(asked) = asked {
            asked.await??;
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_app_that_is_still_starting_can_be_stopped() -> Result<()> {
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    for signal in [Signal::TERM, Signal::INT] {
        let mut seaworthy = Seaworthy::run(["sh", "-c", script]).start().await?;
        holds("the app", PATIENCE, || {
            seaworthy.output().stdout() == "up\n"
        })
        .await?;
        seaworthy.signal(signal)?;
        assert_eq!(seaworthy.code(BUDGET).await?, 0, "{signal:?}");
        assert_eq!(seaworthy.output().stdout(), "up\nbye\n", "{signal:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_ramp_refuses_a_growing_share() -> Result<()> {
    let _turn = alone().await;
    let ramp = Duration::from_secs(2);
    let builder = mock()?
        .set("shutdown.propagation", "2s")
        .set("shutdown.ramp", "2s");
    let mut seaworthy = builder.ready().await?;
    let public = seaworthy.public();
    seaworthy.terminate()?;
    entered(&seaworthy, "propagating").await?;
    let begun = Instant::now();
    let mut quarters = [(0_u32, 0_u32); 4];
    while begun.elapsed() < ramp.mul_f64(0.95) {
        let quarter = (begun.elapsed().as_millis() * 4 / ramp.as_millis()) as usize;
        let answer = client::get(public, "/echo").await?;
        assert!(answer.closes(), "{answer:?}");
        quarters[quarter].1 += 1;
        if answer.status != 200 {
            assert_eq!(kind(&answer), (503, "ShuttingDown".to_owned()));
            assert!(answer.header("retry-after").is_some());
            quarters[quarter].0 += 1;
        }
    }
    let shares = quarters.map(|(refused, all)| f64::from(refused) / f64::from(all.max(1)));
    eprintln!("refused in each quarter of the ramp: {shares:.2?} of {quarters:?}");
    assert!(
        shares.windows(2).all(|pair| pair[0] < pair[1]),
        "{shares:?}"
    );
    assert_eq!(seaworthy.code(BUDGET).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_prestop_closes_readiness_and_is_credited() -> Result<()> {
    let mut seaworthy = mock()?.set("shutdown.propagation", "1s").ready().await?;
    let public = seaworthy.public();
    let begun = Instant::now();
    let waiting = {
        let state = seaworthy.state_dir();
        tokio::spawn(async move {
            Seaworthy::verb([
                "prestop".as_ref(),
                "--state-dir".as_ref(),
                state.as_os_str(),
            ])
            .await
        })
    };
    entered(&seaworthy, "propagating").await?;
    assert_eq!(client::get(public, "/health/ready").await?.status, 503);
    assert_eq!(client::get(public, "/health/live").await?.status, 200);
    assert_eq!(client::get(public, "/echo").await?.status, 200);
    let ended = waiting.await??;
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(seaworthy.steer("/-/prestop").await?.status, 200);
    assert_eq!(seaworthy.stop(BUDGET).await?, 0);
    let marked = seaworthy.output().events("shutdown.marked");
    assert!(
        marked[0]
            .to_string()
            .contains("new requests are refused from now on"),
        "{marked:?}"
    );
    Ok(())
}

#[tokio::test]
async fn stop_waits_for_the_end_and_status_tells_of_the_drain() -> Result<()> {
    let mut seaworthy = mock()?.ready().await?;
    let asked = inside(&seaworthy, "/sleep/1000").await?;
    let pid = seaworthy.pid();
    let state = seaworthy.state_dir();
    let words = |verb: &str| {
        [
            verb.into(),
            "--state-dir".into(),
            state.clone().into_os_string(),
        ]
    };
    let stopping = {
        let mut words = Vec::from(words("stop"));
        words.extend(["--wait".into(), "--timeout".into(), "30s".into()]);
        tokio::spawn(async move { Seaworthy::verb(words).await })
    };
    entered(&seaworthy, "draining").await?;
    let status = Seaworthy::verb(words("status")).await?;
    assert!(status.stdout.contains("draining"), "{}", status.stdout);
    let ready = client::get(seaworthy.public(), "/health/ready").await?;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("shutting down"), "{}", ready.text());
    // Its parent is this test, so that it stays as a zombie until it is waited for.
    let gone = tokio::spawn(async move {
        let ended = stopping.await??;
        let left = seaworthy_testkit::process::Process::read(pid);
        Ok::<_, anyhow::Error>((ended, left.is_none_or(|process| process.state == 'Z')))
    });
    let code = seaworthy.code(BUDGET).await?;
    let (ended, gone) = gone.await??;
    assert_eq!((ended.code(), code), (0, 0), "{}", ended.stderr);
    assert!(gone, "stop --wait returned before the end");
    assert_eq!(asked.await??.status, 200);
    Ok(())
}

#[tokio::test]
async fn events_tell_start_and_stop_in_their_order() -> Result<()> {
    let yaml = "shutdown: {hooks: [{name: a, exec: ['true']}, {name: b, exec: ['true']}]}";
    let mut seaworthy = mock()?.config(yaml).ready().await?;
    let asked = inside(&seaworthy, "/sleep/300").await?;
    assert_eq!(seaworthy.stop(BUDGET).await?, 0);
    assert_eq!(asked.await??.status, 200);
    let records = seaworthy.output().records();
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let phases: Vec<_> = records
        .iter()
        .filter(|record| record["event"] == "startup.phase")
        .map(|record| text(record, "phase"))
        .collect();
    assert_eq!(phases, ["config", "signals", "handlers", "app", "complete"]);
    let stop: Vec<_> = records
        .iter()
        .map(|record| text(record, "event") + &text(record, "hook"))
        .filter(|event| event.starts_with("shutdown."))
        .collect();
    let expected = [
        "signal", "marked", "drained", "hookb", "hooka", "app", "complete",
    ];
    assert_eq!(stop, expected.map(|event| format!("shutdown.{event}")));
    let request = records
        .iter()
        .position(|record| record["event"] == "request" && record["path"] == "/sleep/300");
    let drained = records
        .iter()
        .position(|record| record["event"] == "shutdown.hook");
    assert!(
        request < drained && request.is_some(),
        "{request:?} {drained:?}"
    );
    Ok(())
}
