//! What was answered was done, what was done was answered, and all of it was written down.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use seaworthy_testkit::client::Connection;
use seaworthy_testkit::load::Load;
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};
use seaworthy_testkit::{Result, alone, fixtures};

/// More than any stop of these tests may take.
const BUDGET: Duration = Duration::from_secs(40);
const POSTS: usize = 1000;

/// Sends the next number until all are sent, each once; returns those that were answered 200.
async fn post(to: SocketAddr, next: Arc<AtomicUsize>) -> BTreeSet<usize> {
    let mut done = BTreeSet::new();
    let mut kept = None;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= POSTS {
            return done;
        }
        let Ok(mut connection) = (match kept.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(to).await,
        }) else {
            // Closed for good: the rest of the numbers is refused as well.
            continue;
        };
        let body = number.to_string();
        let Ok(answer) = connection.ask("POST", "/work", &[], body.as_bytes()).await else {
            continue;
        };
        if answer.status == 200 {
            done.insert(number);
        }
        if !answer.closes() {
            kept = Some(connection);
        }
    }
}

#[tokio::test]
async fn what_is_answered_is_what_was_done() -> Result<()> {
    let _turn = alone().await;
    let folder = tempfile::tempdir()?;
    let ledger = folder.path().join("ledger");
    let mut seaworthy = Seaworthy::run(App::Ledger.command()?)
        .current_dir(fixtures())
        .env("LEDGER", ledger.display())
        .env("WORK_SECONDS", "0.02")
        .set("shutdown.propagation", "50ms")
        .ready()
        .await?;
    let next = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..10)
        .map(|_| tokio::spawn(post(seaworthy.public(), Arc::clone(&next))))
        .collect();
    holds("half of the requests", PATIENCE, || {
        next.load(Ordering::Relaxed) >= POSTS / 2
    })
    .await?;
    assert_eq!(seaworthy.stop(BUDGET).await?, 0);
    let mut answered = BTreeSet::new();
    for client in clients {
        answered.extend(client.await?);
    }
    let text = std::fs::read_to_string(&ledger)?;
    let done: Vec<usize> = text
        .lines()
        .filter_map(|line| line.strip_prefix("/work ")?.parse().ok())
        .collect();
    let set: BTreeSet<_> = done.iter().copied().collect();
    let (lost, unheard) = (
        answered.difference(&set).count(),
        set.difference(&answered).count(),
    );
    eprintln!(
        "{POSTS} numbered POSTs with SIGTERM mid-way: {} answered 200, {lost} of them not done, {unheard} done without an answer",
        answered.len()
    );
    assert_eq!(set.len(), done.len(), "done twice");
    assert_eq!((lost, unheard), (0, 0));
    assert!(
        (POSTS / 4..POSTS).contains(&answered.len()),
        "the signal came too early or too late"
    );
    Ok(())
}

#[tokio::test]
async fn every_answer_has_its_line_and_the_last_metrics_agree() -> Result<()> {
    let _turn = alone().await;
    // Quiet, because the app's lines and ours share one stream, and it may break off in the middle of a line of its own.
    let quiet = App::Mock
        .command()?
        .into_iter()
        .chain(["--quiet".to_owned()]);
    let builder = Seaworthy::run(quiet).set("shutdown.propagation", "200ms");
    let mut seaworthy = builder.ready().await?;
    let load = Load::new(seaworthy.public())
        .path("/status/202")
        .connections(8)
        .start();
    holds("some load", PATIENCE, || load.answered() >= 500).await?;
    assert_eq!(seaworthy.stop(BUDGET).await?, 0);
    let report = load.stop().await?;
    let records = seaworthy.output().records();
    let lines = records
        .iter()
        .filter(|record| record["event"] == "request" && record["path"] == "/status/202");
    let lines = u64::try_from(lines.count())?;
    let answers: u64 = report.statuses.values().sum();
    let page = std::fs::read_to_string(seaworthy.state_dir().join("last_metrics.prom"))?;
    let counted: f64 = page
        .lines()
        .filter(|line| line.starts_with("http_requests_total{") && line.contains("\"202\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    eprintln!(
        "{answers} answers, {lines} access lines, {counted} counted as 202 in last_metrics.prom"
    );
    assert_eq!(lines, answers);
    assert!((counted - report.status(202) as f64).abs() < 0.5, "{page}");
    Ok(())
}
