//! The access log: one line for each request, whatever it held.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::{App, Server};
use serde_json::Value;

/// The binary in front of the mock.
async fn start(builder: Builder) -> Result<(Seaworthy, Server)> {
    let mock = App::Mock.start().await?;
    Ok((builder.connect(mock.address).ready().await?, mock))
}

/// The lines of requests for `path`, once there are `count` of them.
async fn lines(seaworthy: &Seaworthy, path: &str, count: usize) -> Result<Vec<Value>> {
    let found = || {
        let mut lines = seaworthy.output().events("request");
        lines.retain(|line| line["path"] == path);
        lines
    };
    let what = format!("{count} lines for {path}");
    seaworthy_testkit::wait::holds(&what, seaworthy_testkit::wait::PATIENCE, || {
        found().len() >= count
    })
    .await?;
    let found = found();
    assert_eq!(found.len(), count, "{found:#?}");
    Ok(found)
}

const FIELDS: &[&str] = &[
    "ts",
    "level",
    "event",
    "service",
    "method",
    "path",
    "route",
    "status",
    "duration_ms",
    "first_byte_ms",
    "bytes_in",
    "bytes_out",
    "client",
    "request_id",
    "trace_id",
    "span_id",
    "user_agent",
    "error",
    "cut",
    "version",
];

#[tokio::test]
async fn a_line_has_every_field() -> Result<()> {
    let yaml = "service: {name: shop}\nroutes: [{match: /sleep/*}, {match: 'POST /echo'}]";
    let (seaworthy, _mock) = start(Seaworthy::build().config(yaml)).await?;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [
        ("X-Request-ID", "abc123"),
        ("traceparent", trace),
        ("User-Agent", "test/1"),
        ("Content-Type", "text/plain"),
    ];
    let path = "/echo?token=secret";
    let answer = client::send(seaworthy.public(), "POST", path, &headers, b"0123456789").await?;
    assert_eq!(answer.status, 200);
    let line = lines(&seaworthy, "/echo", 1).await?.remove(0);
    let keys: Vec<_> = line
        .as_object()
        .map(|line| line.keys().map(String::as_str).collect())
        .unwrap_or_default();
    assert_eq!(keys, FIELDS);
    for (name, value) in [
        ("level", "info".into()),
        ("service", "shop".into()),
        ("method", "POST".into()),
        ("route", "/echo".into()),
        ("status", 200.into()),
        ("bytes_in", 10.into()),
        ("bytes_out", 10.into()),
        ("client", "127.0.0.1".into()),
        ("request_id", "abc123".into()),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
        ("user_agent", "test/1".into()),
        ("error", Value::Null),
        ("cut", false.into()),
        ("version", "HTTP/1.1".into()),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
    assert_ne!(line["span_id"], "b7ad6b7169203331");
    assert!(
        !seaworthy.output().stderr().contains("secret"),
        "queries carry secrets"
    );
    Ok(())
}

#[tokio::test]
async fn times_are_those_of_the_request() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    client::get(seaworthy.public(), "/sleep/300").await?;
    client::get(seaworthy.public(), "/stream/4?ms=100").await?;
    let slept = lines(&seaworthy, "/sleep/300", 1).await?.remove(0);
    assert!(slept["duration_ms"].as_f64() >= Some(300.0), "{slept}");
    assert!(slept["first_byte_ms"].as_f64() >= Some(300.0), "{slept}");
    let streamed = lines(&seaworthy, "/stream/4", 1).await?.remove(0);
    assert!(
        streamed["duration_ms"].as_f64() >= Some(300.0),
        "{streamed}"
    );
    assert!(
        streamed["first_byte_ms"].as_f64() < streamed["duration_ms"].as_f64(),
        "{streamed}"
    );
    Ok(())
}

#[tokio::test]
async fn the_id_in_the_line_is_the_id_in_the_answer() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let answer = client::get(seaworthy.public(), "/bytes/1").await?;
        ids.extend(answer.header("x-request-id").map(str::to_owned));
    }
    let found = lines(&seaworthy, "/bytes/1", 10).await?;
    let mut logged: Vec<_> = found
        .iter()
        .filter_map(|line| line["request_id"].as_str().map(str::to_owned))
        .collect();
    logged.sort();
    ids.sort();
    assert_eq!(logged, ids);
    Ok(())
}

#[tokio::test]
async fn each_request_has_one_line_and_probes_have_none() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    for path in ["/health/live", "/health/ready", "/health/startup"] {
        for _ in 0..5 {
            assert_eq!(connection.ask("GET", path, &[], b"").await?.status, 200);
        }
    }
    for _ in 0..50 {
        assert_eq!(
            connection.ask("GET", "/bytes/2", &[], b"").await?.status,
            200
        );
    }
    lines(&seaworthy, "/bytes/2", 50).await?;
    let probes = seaworthy.output().events("request");
    assert!(
        !probes
            .iter()
            .any(|line| line["path"].as_str() != Some("/bytes/2")),
        "{probes:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn hostile_bytes_leave_valid_lines() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    let to = seaworthy.public();
    let (mut count, mut refusals) = (0, 1);
    // Every byte that a field may hold, as the user agent and as the id.
    for byte in (0x20..=0xff_u8).filter(|byte| *byte != 0x7f).chain([b'\t']) {
        let mut request =
            b"GET /bytes/1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\nUser-Agent: a\"\\"
                .to_vec();
        request.push(byte);
        request.extend(b"b\r\nX-Request-ID: \"}");
        request.push(byte);
        request.extend(b"{\r\n\r\n");
        let mut connection = Connection::open(to).await?;
        connection.send(request).await?;
        assert_eq!(connection.response("GET").await?.status, 200, "{byte:#x}");
        count += 1;
    }
    let found = lines(&seaworthy, "/bytes/1", count).await?;
    assert!(found.iter().all(|line| line["user_agent"].is_string()));
    for path in [
        "/%22%7d%0a{\"event\":\"forged\"}",
        "/a\u{1b}[2J",
        "/%00",
        "/\\n",
        "/\u{202e}x",
    ] {
        let refused = client::get(to, path).await?.status == 400;
        refusals += usize::from(refused);
    }
    let refused = b"GET / HTTP/1.1\r\n\"level\": \x01\xff\r\n\r\n";
    let mut connection = Connection::open(to).await?;
    connection.send(refused).await?;
    assert_eq!(connection.response("GET").await?.status, 400);
    lines(&seaworthy, "-", refusals).await?;
    let text = seaworthy.output().stderr();
    for line in text.lines() {
        let parsed: Value = serde_json::from_str(line)?;
        assert!(parsed.is_object() && parsed["event"] != "forged", "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    Ok(())
}

#[tokio::test]
async fn refusals_and_failures_are_logged_with_their_kind() -> Result<()> {
    let yaml = "limits: {max_body: 5, response_timeout: 300ms}";
    let (seaworthy, _mock) = start(Seaworthy::build().config(yaml)).await?;
    let to = seaworthy.public();
    client::send(to, "POST", "/large", &[], b"six six").await?;
    client::get(to, "/hang").await?;
    client::get(to, "/status/500").await?;
    for (path, status, error, level) in [
        ("/large", 413, Value::from("PayloadTooLarge"), "info"),
        ("/hang", 504, "UpstreamTimeout".into(), "warn"),
        ("/status/500", 500, Value::Null, "warn"),
    ] {
        let line = lines(&seaworthy, path, 1).await?.remove(0);
        assert_eq!(
            (&line["status"], &line["error"], &line["level"]),
            (&status.into(), &error, &level.into()),
            "{path}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_is_logged_as_cut() -> Result<()> {
    let (seaworthy, _mock) = start(Seaworthy::build()).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/stream/100000?ms=10", &[], b""))
        .await?;
    assert_eq!(connection.head().await?.status()?, 200);
    connection.chunk().await?;
    connection.reset()?;
    let line = lines(&seaworthy, "/stream/100000", 1).await?.remove(0);
    assert_eq!(
        (&line["cut"], &line["level"]),
        (&true.into(), &"warn".into())
    );
    Ok(())
}

#[tokio::test]
async fn the_last_lines_are_written_before_the_end() -> Result<()> {
    let (mut seaworthy, _mock) = start(Seaworthy::build()).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    for _ in 0..200 {
        connection.ask("GET", "/bytes/3", &[], b"").await?;
    }
    let patience = seaworthy_testkit::wait::PATIENCE;
    assert_eq!(seaworthy.stop(patience).await?, 0);
    let lines = seaworthy.output().events("request");
    assert_eq!(lines.len(), 200);
    Ok(())
}

#[tokio::test]
async fn it_can_be_switched_off() -> Result<()> {
    let (mut seaworthy, _mock) = start(Seaworthy::build().set("log.access", false)).await?;
    assert_eq!(
        client::get(seaworthy.public(), "/bytes/1").await?.status,
        200
    );
    assert_eq!(seaworthy.stop(seaworthy_testkit::wait::PATIENCE).await?, 0);
    assert!(seaworthy.output().events("request").is_empty());
    Ok(())
}
