//! What health costs: the probes, and the checks in the background.

use std::time::{Duration, Instant};

use seaworthy_testkit::load::Load;
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::{App, Celery, Gap, Mode, Postgres, Redis};
use seaworthy_testkit::wait::until;
use seaworthy_testkit::{Result, alone, client, scale};

const MIB: f64 = 1_048_576.0;
const PATIENCE: Duration = Duration::from_secs(60);

async fn wait_ready(seaworthy: &Seaworthy) -> Result<()> {
    until("readiness", PATIENCE, || async {
        let answer = client::get(seaworthy.public(), "/health/ready")
            .await
            .ok()?;
        (answer.status == 200).then_some(())
    })
    .await
}

/// The binary before an app that it did not start, with these checks every second.
fn checking(checks: &[String], app: std::net::SocketAddr) -> Builder {
    let checks: String = checks
        .iter()
        .map(|check| format!("    - {{{check}}}\n"))
        .collect();
    let yaml = format!("health:\n  interval: 1s\n  checks:\n{checks}");
    Seaworthy::build().config(&yaml).connect(app)
}

/// How often the commands of a check ran at the server.
async fn commands(redis: &Redis, name: &str) -> Result<u64> {
    let stats = redis.command(&["INFO", "commandstats"]).await?;
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
    let calls = line.and_then(|rest| rest.split(',').next()?.parse().ok());
    Ok(calls.unwrap_or_default())
}

#[tokio::test]
async fn ten_thousand_probes_a_second_ask_no_dependency_anything() -> Result<()> {
    let _turn = alone().await;
    let (redis, mock) = (Redis::start().await?, App::Mock.start().await?);
    let check = format!("kind: redis, name: redis, url: \"{}\"", redis.url());
    let seaworthy = checking(&[check], mock.address).ready().await?;
    let (before, begun) = (commands(&redis, "ping").await?, Instant::now());
    let count = scale::count(50_000);
    let mut rate = 0;
    for path in [
        "/health/live",
        "/health/ready",
        "/health/ready?detailed=true",
    ] {
        let begun = Instant::now();
        let report = Load::new(seaworthy.public())
            .path(path)
            .connections(16)
            .count(count)
            .run()
            .await?;
        assert_eq!(report.failures(), 0, "{path}: {report:?}");
        rate = rate.max(count as u64 * 1000 / u64::try_from(begun.elapsed().as_millis())?.max(1));
    }
    let (asked, seconds) = (
        commands(&redis, "ping").await? - before,
        begun.elapsed().as_secs(),
    );
    eprintln!(
        "{} probes, up to {rate} a second: {asked} questions to Redis in {seconds} s",
        3 * count
    );
    // One a second and a tenth of jitter, and a second of rounding on either side.
    assert!(asked <= seconds * 11 / 10 + 2, "{asked} in {seconds} s");
    Ok(())
}

/// Fifty checks, one in a hundred of a core, ten mebibytes.
#[tokio::test]
async fn fifty_checks_every_second_cost_next_to_nothing() -> Result<()> {
    let _turn = alone().await;
    let (redis, postgres, mock) = (
        Redis::start().await?,
        Postgres::start().await?,
        App::Mock.start().await?,
    );
    let _worker = Celery::start("counted", &redis.url(), &[]).await?;
    let bare = checking(&["kind: disk, name: disk0".to_owned()], mock.address)
        .ready()
        .await?;
    let mut checks = vec![
        format!("kind: celery, name: celery, broker: \"{}\"", redis.url()),
        "kind: disk, name: disk".to_owned(),
        "kind: memory, name: memory, critical: false".to_owned(),
    ];
    for at in 0..16 {
        checks.push(format!(
            "kind: redis, name: redis{at}, url: \"{}\"",
            redis.url()
        ));
        checks.push(format!(
            "kind: postgres, name: postgres{at}, url: \"{}\"",
            postgres.url()
        ));
    }
    for at in 0..15 {
        checks.push(format!(
            "kind: http, name: http{at}, url: \"http://{}/status/200\"",
            mock.address
        ));
    }
    assert_eq!(checks.len(), 50);
    let seaworthy = checking(&checks, mock.address).start().await?;
    wait_ready(&seaworthy).await?;
    let time = Duration::from_secs(30);
    let before = (seaworthy.usage()?, bare.usage()?);
    // Long enough for a figure; nothing is waited for.
    tokio::time::sleep(time).await;
    let after = (seaworthy.usage()?, bare.usage()?);
    let used = after.0.processor - before.0.processor;
    let idle = after.1.processor - before.1.processor;
    let share = (used.saturating_sub(idle)).as_secs_f64() / time.as_secs_f64() * 100.0;
    let more = after.0.rss as f64 - after.1.rss as f64;
    eprintln!(
        "50 checks every second: {share:.2} % of a core, {:.1} MiB more than one",
        more / MIB
    );
    assert_eq!(
        client::get(seaworthy.public(), "/health/ready")
            .await?
            .status,
        200
    );
    assert!(share < 3.0, "{share:.2} %");
    assert!(more < 10.0 * MIB, "{:.1} MiB", more / MIB);
    Ok(())
}

/// The app burns all processors, then hangs; dependencies fall silent.
#[tokio::test]
async fn probes_are_quick_while_everything_else_is_not() -> Result<()> {
    let _turn = alone().await;
    let redis = Redis::start().await?;
    let network = Gap::before(redis.address())?;
    let burning = "import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/hang': time.sleep(3600)
        while True: pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler)
for _ in range(os.cpu_count()):
    if os.fork() == 0: break
server.serve_forever()
";
    let check = format!(
        "kind: redis, name: redis, url: \"{}\"",
        redis.url_at(network.address())
    );
    let yaml = format!("health:\n  interval: 1s\n  checks:\n    - {{{check}}}\n");
    let app = ["python3", "-c", burning];
    let seaworthy = Seaworthy::run(app).config(&yaml).ready().await?;
    probe(&seaworthy, "at rest").await?;
    let load = |path: &str| {
        Load::new(seaworthy.public())
            .path(path)
            .connections(16)
            .patience(PATIENCE)
            .start()
    };
    let hanging = load("/hang");
    probe(&seaworthy, "all its workers hang").await?;
    let burning = load("/burn");
    probe(&seaworthy, "the app burns every processor").await?;
    network.set(Mode::Silent).await?;
    until("the silence to be noticed", PATIENCE, || async {
        let answer = client::get(seaworthy.public(), "/health/ready")
            .await
            .ok()?;
        (answer.status == 503).then_some(())
    })
    .await?;
    probe(&seaworthy, "and its dependency is silent").await?;
    drop((hanging, burning));
    Ok(())
}

/// Asks again and again, and prints how long that took.
async fn probe(seaworthy: &Seaworthy, when: &str) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..scale::count(200) {
        for path in ["/health/live", "/health/ready"] {
            let begun = Instant::now();
            let answer = client::get(seaworthy.public(), path).await?;
            times.push(begun.elapsed());
            assert!(
                path != "/health/live" || answer.status == 200,
                "{}",
                answer.status
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 1000];
    eprintln!(
        "probes when {when}: p50 {:.1?}, p99 {:.1?}, most {:.1?} of {}",
        at(500),
        at(990),
        at(1000),
        times.len()
    );
    Ok(())
}
