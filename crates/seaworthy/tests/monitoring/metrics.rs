//! Metrics: a valid page, numbers that are true, and a size that strangers cannot grow.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::origin::{Origin, Record, Script};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::{App, Server};
use seaworthy_testkit::wait::{self, PATIENCE};

use crate::exposition::Page;

async fn start(builder: Builder) -> Result<(Seaworthy, Server)> {
    let mock = App::Mock.start().await?;
    Ok((builder.connect(mock.address).ready().await?, mock))
}

async fn scrape(seaworthy: &Seaworthy, accept: &str) -> Result<client::Response> {
    let mut connection = Connection::open(seaworthy.admin()?).await?;
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {accept}\r\n\r\n"
    );
    connection.send(request).await?;
    connection.response("GET").await
}

async fn page(seaworthy: &Seaworthy) -> Result<Page> {
    Page::parse(&scrape(seaworthy, "text/plain").await?.text())
}

#[tokio::test]
async fn the_page_is_valid_and_says_what_it_is() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    client::get(seaworthy.public(), "/bytes/1").await?;
    let answer = scrape(&seaworthy, "text/plain").await?;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let page = Page::parse(&answer.text())?;
    assert_eq!(page.sum("seaworthy_build_info", &[]), 1.0);
    assert_eq!(page.sum("seaworthy_lifecycle_state", &[]), 1.0);
    assert_eq!(
        page.sum("seaworthy_lifecycle_state", &[("state", "running")]),
        1.0
    );
    assert!(page.sum("process_resident_memory_bytes", &[]) > 1e6);
    Ok(())
}

#[tokio::test]
async fn openmetrics_is_spoken_where_it_is_asked_for() -> Result<()> {
    let yaml = "endpoints: [{path: /numbers, view: metrics, mode: own}]";
    let (seaworthy, _mock) = start(Seaworthy::build().config(yaml)).await?;
    let accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5";
    let answer = client::send(
        seaworthy.public(),
        "GET",
        "/numbers",
        &[("Accept", accept)],
        b"",
    )
    .await?;
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(answer.text().ends_with("# EOF\n"), "{}", answer.text());
    Ok(())
}

/// A page of an app in one of the two formats.
fn app_page(media_type: &str, page: &str) -> Script {
    let length = page.len();
    Script::always(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{page}"
    ))
}

#[tokio::test]
async fn a_merged_page_is_in_one_format() -> Result<()> {
    const OPEN: &str = "application/openmetrics-text; version=1.0.0";
    const OPEN_PAGE: &str = "# TYPE app_jobs counter\napp_jobs_total 5\n# EOF\n";
    const TEXT: &str = "text/plain; version=0.0.4";
    const TEXT_PAGE: &str = "# TYPE app_jobs_total counter\napp_jobs_total 5\n";
    let yaml = "endpoints: [{path: /metrics, view: metrics}]";
    for (media_type, page, wanted, is_open) in [
        (OPEN, OPEN_PAGE, OPEN, true),
        // An app that speaks only the older format decides for both.
        (TEXT, TEXT_PAGE, OPEN, false),
        (TEXT, TEXT_PAGE, TEXT, false),
    ] {
        let origin = Origin::tcp(app_page(media_type, page)).await?;
        let builder = Seaworthy::build().config(yaml).connect(origin.address());
        let seaworthy = builder.ready().await?;
        let headers = [("Accept", wanted), ("Accept-Encoding", "gzip")];
        let public = client::send(seaworthy.public(), "GET", "/metrics", &headers, b"").await?;
        for answer in [public, scrape(&seaworthy, wanted).await?] {
            let (kind, text) = (answer.header("content-type"), answer.text());
            let kind = kind.unwrap_or_default();
            assert_eq!(
                kind.starts_with("application/openmetrics-text"),
                is_open,
                "{kind}"
            );
            assert_eq!(text.ends_with("# EOF\n"), is_open, "{text}");
            assert_eq!(
                text.matches("# EOF").count(),
                usize::from(is_open),
                "{text}"
            );
            assert!(text.contains("app_jobs_total 5\n"), "{text}");
        }
        for asked in origin.records().iter().flat_map(Record::requests) {
            assert!(asked.contains(wanted), "{asked}");
            assert!(!asked.to_lowercase().contains("accept-encoding"), "{asked}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn counters_are_the_requests_that_were_sent() -> Result<()> {
    let yaml =
        "threads: 2\nlimits: {max_body: 10}\nroutes: [{match: /bytes/*}, {match: 'POST /echo'}]";
    let (seaworthy, _mock) = start(Seaworthy::build().config(yaml)).await?;
    let to = seaworthy.public();
    for _ in 0..37 {
        client::get(to, "/bytes/1").await?;
    }
    for _ in 0..11 {
        client::send(to, "POST", "/echo", &[], b"fits").await?;
    }
    for _ in 0..5 {
        client::send(to, "POST", "/echo", &[], b"more than ten").await?;
    }
    client::send(to, "BREW", "/pot", &[], b"").await?;
    // A request counts when its last byte is on the way, which the client may see a moment earlier.
    let total = |page: &Page| {
        page.sum("http_requests_total", &[("endpoint", "/bytes/*")])
            + page.sum("http_requests_total", &[("endpoint", "/echo")])
    };
    let page = wait::until("all requests to be counted", PATIENCE, async || {
        let page = page(&seaworthy).await.ok()?;
        (total(&page) >= 53.0 && page.sum("http_requests_total", &[("method", "OTHER")]) > 0.0)
            .then_some(page)
    })
    .await?;
    for (labels, count) in [
        (
            &[
                ("method", "GET"),
                ("endpoint", "/bytes/*"),
                ("status", "200"),
            ][..],
            37.0,
        ),
        (
            &[("method", "POST"), ("endpoint", "/echo"), ("status", "200")],
            11.0,
        ),
        (
            &[("method", "POST"), ("endpoint", "/echo"), ("status", "413")],
            5.0,
        ),
        (&[("method", "OTHER"), ("endpoint", "unmatched")], 1.0),
    ] {
        assert_eq!(page.sum("http_requests_total", labels), count, "{labels:?}");
    }
    let timed = page.sum(
        "http_request_duration_seconds_count",
        &[("method", "GET"), ("endpoint", "/bytes/*")],
    );
    assert_eq!(timed, 37.0);
    assert_eq!(
        page.sum("seaworthy_errors_total", &[("type", "PayloadTooLarge")]),
        5.0
    );
    Ok(())
}

#[tokio::test]
async fn requests_under_way_are_a_gauge() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    let mut held = Vec::new();
    for _ in 0..7 {
        let mut connection = Connection::open(seaworthy.public()).await?;
        connection
            .send(client::request("GET", "/hang", &[], b""))
            .await?;
        held.push(connection);
    }
    let inside = async |count: f64| {
        wait::until(&format!("{count} under way"), PATIENCE, async || {
            let page = page(&seaworthy).await.ok()?;
            (page.sum("http_requests_in_progress", &[]) == count).then_some(())
        })
        .await
    };
    inside(7.0).await?;
    // With a reset: a client that only ended its side may still be waiting for its answer.
    for connection in held {
        connection.reset()?;
    }
    inside(0.0).await
}

/// Waits until the gauge `name` has this value.
async fn gauge(seaworthy: &Seaworthy, name: &str, value: f64) -> Result<()> {
    wait::until(&format!("{name} {value}"), PATIENCE, async || {
        (seaworthy.metric(name).await.ok()? == value).then_some(())
    })
    .await
}

#[tokio::test]
async fn open_connections_are_a_gauge_over_all_workers() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build().set("threads", 2)).await?;
    gauge(&seaworthy, "seaworthy_connections_open", 0.0).await?;
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut connection = Connection::open(seaworthy.public()).await?;
        connection.ask("GET", "/bytes/1", &[], b"").await?;
        open.push(connection);
    }
    // One that has said nothing yet is open all the same.
    open.push(Connection::open(seaworthy.public()).await?);
    gauge(&seaworthy, "seaworthy_connections_open", 6.0).await?;
    drop(open);
    gauge(&seaworthy, "seaworthy_connections_open", 0.0).await
}

#[tokio::test]
async fn requests_that_wait_for_the_app_are_a_gauge() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gate = folder.path().join("gate");
    let mock = App::Mock.command()?.join(" ");
    let script = format!(
        "until [ -e {} ]; do sleep 0.01; done; exec {mock}",
        gate.display()
    );
    let seaworthy = Seaworthy::run(["sh", "-c", &script])
        .set("app.startup.park", "60s")
        .start()
        .await?;
    gauge(&seaworthy, "seaworthy_requests_parked", 0.0).await?;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::open(seaworthy.public()).await?;
        connection
            .send(client::request("GET", "/bytes/1", &[], b""))
            .await?;
        waiting.push(connection);
    }
    gauge(&seaworthy, "seaworthy_requests_parked", 4.0).await?;
    // A client that gives up waits no longer.
    waiting.pop().map(Connection::reset).transpose()?;
    gauge(&seaworthy, "seaworthy_requests_parked", 3.0).await?;
    std::fs::write(&gate, "")?;
    for mut connection in waiting {
        assert_eq!(connection.response("GET").await?.status, 200);
    }
    gauge(&seaworthy, "seaworthy_requests_parked", 0.0).await
}

#[tokio::test]
async fn paths_of_strangers_make_no_series() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection.ask("GET", "/no/such/first", &[], b"").await?;
    let before = page(&seaworthy).await?.len();
    let memory = seaworthy.usage()?.rss;
    for number in 0..5000_u32 {
        let path = format!("/random/{:x}/{number}", number.wrapping_mul(2_654_435_761));
        let answer = connection.ask("GET", &path, &[], b"").await?;
        assert_eq!(answer.status, 404);
    }
    let page = page(&seaworthy).await?;
    assert!(page.len() <= before + 50, "{before} became {}", page.len());
    let unmatched = page.sum(
        "http_requests_total",
        &[("endpoint", "unmatched"), ("status", "404")],
    );
    assert!(unmatched >= 5000.0, "{unmatched}");
    let grown = seaworthy.usage()?.rss.saturating_sub(memory);
    assert!(grown < 8 << 20, "{} KiB more", grown / 1024);
    Ok(())
}

#[tokio::test]
async fn restarts_of_the_app_are_counted() -> Result<()> {
    let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    assert_eq!(
        page(&seaworthy)
            .await?
            .sum("seaworthy_child_restarts_total", &[]),
        0.0
    );
    let crashed = client::get(seaworthy.public(), "/crash").await?;
    assert_eq!(crashed.status, 502);
    seaworthy.wait_events("app.ready", 2, PATIENCE).await?;
    wait::until("the count", PATIENCE, async || {
        let page = page(&seaworthy).await.ok()?;
        (page.sum("seaworthy_child_restarts_total", &[]) == 1.0).then_some(())
    })
    .await
}

#[tokio::test]
async fn they_can_be_switched_off() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build().set("metrics.enabled", false)).await?;
    assert_eq!(scrape(&seaworthy, "text/plain").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn the_last_numbers_are_kept_in_a_file() -> Result<()> {
    let (mut seaworthy, _mock) = start(Seaworthy::build()).await?;
    for _ in 0..9 {
        client::get(seaworthy.public(), "/bytes/1").await?;
    }
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let text = std::fs::read_to_string(seaworthy.state_dir().join("last_metrics.prom"))?;
    let page = Page::parse(&text)?;
    assert!(
        page.sum(
            "http_requests_total",
            &[("endpoint", "unmatched"), ("status", "200")]
        ) >= 9.0,
        "{text}"
    );
    Ok(())
}

/// Needs promtool.
mod real {
    use super::{App, Result, Seaworthy, client, scrape, start};
    use seaworthy_testkit::server::tool;

    #[tokio::test]
    async fn promtool_finds_no_fault() -> Result<()> {
        let yaml = "routes: [{match: /bytes/*}]";
        let (seaworthy, _mock) = start(Seaworthy::build().config(yaml)).await?;
        client::get(seaworthy.public(), "/bytes/1").await?;
        client::get(seaworthy.public(), "/status/500").await?;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), scrape(&seaworthy, "text/plain").await?.body)?;
        let command = format!(
            "'{}' check metrics < '{}'",
            tool::find("promtool")?.display(),
            file.path().display()
        );
        let output = tool::run("sh", &["-c", &command], seaworthy_testkit::wait::PATIENCE).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        Ok(())
    }

    #[tokio::test]
    async fn promtool_accepts_a_started_app_too() -> Result<()> {
        let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), scrape(&seaworthy, "text/plain").await?.body)?;
        let command = format!(
            "'{}' check metrics < '{}'",
            tool::find("promtool")?.display(),
            file.path().display()
        );
        let output = tool::run("sh", &["-c", &command], seaworthy_testkit::wait::PATIENCE).await?;
        assert!(output.status.success(), "{output:?}");
        Ok(())
    }
}
