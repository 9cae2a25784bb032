//! What is left of a service that is asked for five and ten times what it can do.
//!
//! The app has 20 places and takes 20 ms in each, so it can answer 1,000 requests a second and no more; beyond that its own queue
//! grows without end, as that of most servers does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::load::Load;
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::{Result, alone};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const PLACES: usize = 20;
const SERVICE: Duration = Duration::from_millis(20);
/// What it can do in a second.
const CAPACITY: f64 = 1_000.0;
const LENGTH: Duration = Duration::from_secs(6);
/// Each client asks ten times a second.
const PACE: Duration = Duration::from_millis(100);
const MIB: f64 = 1_048_576.0;

/// Answers requests without a body, [`PLACES`] at a time.
async fn app(listener: TcpListener) {
    let places = Arc::new(Semaphore::new(PLACES));
    while let Ok((stream, _)) = listener.accept().await {
        let places = places.clone();
        tokio::spawn(async move {
            // A connection that ends is the proxy's to end.
            serve(stream, &places).await.ok();
        });
    }
}

async fn serve(mut stream: TcpStream, places: &Semaphore) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut piece).await? {
                0 => return Ok(()),
                count => request.extend_from_slice(&piece[..count]),
            }
        }
        request.clear();
        let place = places.acquire().await;
        tokio::time::sleep(SERVICE).await;
        drop(place);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n";
        stream.write_all(answer).await?;
    }
}

/// What came of some seconds of it.
#[derive(Debug)]
struct Figures {
    /// Requests a second that were sent.
    offered: f64,
    /// And those that were answered with 200.
    good: f64,
    /// The 99th percentile of their time.
    p99: Duration,
    /// Everything but 200 and 503.
    failed: u64,
    /// What the proxy needed.
    rss: f64,
    /// The longest that a probe took.
    probe: Duration,
}

/// Sends `times` as much as the app can do.
async fn overload(seaworthy: &Seaworthy, times: usize) -> Result<Figures> {
    let public = seaworthy.public();
    // Capacity is in whole requests, and each client sends ten a second.
    let clients = times * 100;
    let over = Arc::new(AtomicBool::new(false));
    let (sent, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let client = |number: usize| {
        let (over, sent, failed) = (over.clone(), sent.clone(), failed.clone());
        async move {
            let mut times = Vec::new();
            let mut connection = Connection::open(public).await?;
            tokio::time::sleep(PACE.mul_f64(number as f64 / clients as f64)).await;
            let mut pace = tokio::time::interval(PACE);
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            while !over.load(Ordering::Relaxed) {
                pace.tick().await;
                let asked = Instant::now();
                sent.fetch_add(1, Ordering::Relaxed);
                match connection.ask("GET", "/", &[], b"").await {
                    Ok(answer) if answer.status == 200 => times.push(asked.elapsed()),
                    Ok(answer) if answer.status == 503 => {}
                    _ => {
                        failed.fetch_add(1, Ordering::Relaxed);
                        connection = Connection::open(public).await?;
                    }
                }
            }
            anyhow::Ok(times)
        }
    };
    let clients: Vec<_> = (0..clients)
        .map(|number| tokio::spawn(client(number)))
        .collect();
    let mut probe = Duration::ZERO;
    while begun.elapsed() < LENGTH {
        let asked = Instant::now();
        assert_eq!(client::get(public, "/health/live").await?.status, 200);
        probe = probe.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    over.store(true, Ordering::Relaxed);
    let seconds = begun.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await??);
    }
    times.sort_unstable();
    Ok(Figures {
        offered: sent.load(Ordering::Relaxed) as f64 / seconds,
        good: times.len() as f64 / seconds,
        p99: times
            .get(times.len() * 99 / 100)
            .copied()
            .unwrap_or_default(),
        failed: failed.load(Ordering::Relaxed),
        rss: seaworthy.usage()?.rss as f64 / MIB,
        probe,
    })
}

async fn measured(name: &str, section: &str) -> Result<()> {
    let _turn = alone().await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = tokio::spawn(app(listener));
    let build = Seaworthy::build().config(section).set("log.access", false);
    let seaworthy = build.connect(address).ready().await?;
    let begun = Instant::now();
    let peak = Load::new(seaworthy.public())
        .connections(PLACES)
        .count(4_000)
        .run()
        .await?;
    assert_eq!(peak.failures(), 0, "{peak:?}");
    let peak = 4_000.0 / begun.elapsed().as_secs_f64();
    eprintln!("{name}: peak {peak:.0}/s of {CAPACITY:.0}/s");
    // Learns what a crowd is before it is measured.
    overload(&seaworthy, 2).await?;
    let before = seaworthy.usage()?.rss as f64 / MIB;
    for times in [5, 10] {
        let figures = overload(&seaworthy, times).await?;
        eprintln!(
            "{name}: {times} x: {:.0}/s offered, {:.0}/s good ({:.2} of the peak), p99 of those {:.0} ms, {} failed, RSS {before:.1} -> {:.1} MiB, slowest probe {:.1} ms",
            figures.offered,
            figures.good,
            figures.good / peak,
            figures.p99.as_secs_f64() * 1e3,
            figures.failed,
            figures.rss,
            figures.probe.as_secs_f64() * 1e3,
        );
        assert_eq!(figures.failed, 0, "{figures:?}");
        assert!(figures.rss < before + 32.0, "{figures:?}");
        assert!(figures.good > 0.0);
    }
    app.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_limit_keeps_the_goodput() -> Result<()> {
    measured(
        "fixed",
        "concurrency: {max: 20, queue: 20, queue_timeout: 200ms}",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adaptive_limit_keeps_the_goodput() -> Result<()> {
    measured(
        "adaptive",
        "concurrency: {max: 500, queue: 10, queue_timeout: 200ms, adaptive: {}}",
    )
    .await
}

/// Without a limit the app's own queue takes everything: shown for comparison.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_answers_come_ever_later() -> Result<()> {
    measured("without", "{}").await
}
