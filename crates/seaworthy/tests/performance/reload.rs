//! What taking a large configuration in costs, and those who ask meanwhile.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seaworthy_testkit::client::Connection;
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::{Result, alone};
use tokio::task::JoinSet;

const RELOADS: usize = 1_000;
const ROUTES: usize = 200;
/// So many clients, each asking every so often: a thousand requests a second.
const CLIENTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(8);

/// Ten lines for each route; one line has a mistake where it is to be refused.
fn yaml(version: usize, is_wrong: bool) -> String {
    let mut yaml = format!("headers: {{set: {{X-Version: '{version}'}}}}\nroutes:\n");
    for route in 0..ROUTES {
        let priority = if is_wrong && route == ROUTES - 1 {
            "urgent"
        } else {
            "normal"
        };
        write!(
            yaml,
            "  - match: /r{route}/*\n    priority: {priority}\n    concurrency:\n      max: 50\n      queue: 10\n      queue_timeout: 1s\n    headers:\n      X-Route: '{route}'\n      X-Version-Of-Route: '{version}'\n      X-Kind: plain\n"
        )
        .expect("a String takes everything");
    }
    yaml
}

/// How long each request took; nothing for one that was not answered with 200.
fn ask(seaworthy: &Seaworthy, stop: &Arc<AtomicBool>) -> JoinSet<Vec<Option<Duration>>> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (public, stop) = (seaworthy.public(), stop.clone());
        clients.spawn(async move {
            tokio::time::sleep(PAUSE / CLIENTS * client).await;
            let mut ticks = tokio::time::interval(PAUSE);
            let mut took = Vec::new();
            let Ok(mut connection) = Connection::open(public).await else {
                return vec![None];
            };
            while !stop.load(Ordering::Relaxed) {
                ticks.tick().await;
                let began = Instant::now();
                let answer = connection.ask("GET", "/echo", &[], b"").await;
                let is_fine = answer.is_ok_and(|answer| answer.status == 200);
                took.push(is_fine.then(|| began.elapsed()));
            }
            took
        });
    }
    clients
}

fn told(what: &str, took: Vec<Vec<Option<Duration>>>) -> usize {
    let all: Vec<Option<Duration>> = took.into_iter().flatten().collect();
    let mut times: Vec<f64> = all
        .iter()
        .flatten()
        .map(|time| time.as_secs_f64() * 1e3)
        .collect();
    times.sort_by(f64::total_cmp);
    let failed = all.len() - times.len();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    eprintln!(
        "{what}: {failed} of {} requests failed; p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, slowest {:.1} ms",
        all.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reloads_fail_no_request_and_keep_nothing() -> Result<()> {
    let _turn = alone().await;
    let mock = App::Mock.start().await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("seaworthy.yaml");
    std::fs::write(&file, yaml(0, false))?;
    let builder = Seaworthy::build().current_dir(home.path());
    let seaworthy = builder.connect(mock.address).ready().await?;

    let stop = Arc::new(AtomicBool::new(false));
    let clients = ask(&seaworthy, &stop);
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.store(true, Ordering::Relaxed);
    told("nothing changes", clients.join_all().await);

    let stop = Arc::new(AtomicBool::new(false));
    let clients = ask(&seaworthy, &stop);
    let (mut times, mut rss) = (Vec::new(), seaworthy.usage()?.rss);
    let first = rss;
    for version in 1..=RELOADS {
        let is_wrong = version % 2 == 0;
        std::fs::write(&file, yaml(version, is_wrong))?;
        let answer = seaworthy.steer_with("POST", "/-/config/reload", "").await?;
        assert_eq!(answer.status, if is_wrong { 422 } else { 200 });
        let report = answer.json()?;
        times.extend(report["duration_ms"].as_f64().filter(|_| !is_wrong));
        if version == RELOADS / 10 {
            rss = seaworthy.usage()?.rss;
        }
    }
    let last = seaworthy.usage()?.rss;
    let page = seaworthy.look("/metrics").await?.text();
    for line in page
        .lines()
        .filter(|line| line.starts_with("seaworthy_config_worker_pause"))
    {
        eprintln!("{line}");
    }
    stop.store(true, Ordering::Relaxed);
    let failed = told(
        "every other one of 1,000 reloads is wrong",
        clients.join_all().await,
    );
    times.sort_by(f64::total_cmp);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    eprintln!(
        "{} lines, {ROUTES} routes: a reload takes {:.0} ms (median), {:.0} ms (slowest); resident {:.1} MiB at first, {:.1} MiB after {}, {:.1} MiB after {RELOADS}",
        yaml(0, false).lines().count(),
        times[times.len() / 2],
        times[times.len() - 1],
        mib(first),
        mib(rss),
        RELOADS / 10,
        mib(last)
    );
    assert_eq!(failed, 0);
    assert!(last < rss + (5 << 20), "it keeps something of each");
    Ok(())
}
