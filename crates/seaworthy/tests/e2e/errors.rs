//! Everything that Seaworthy answers by itself has one shape, and each kind can be explained.

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::origin::Script;
use seaworthy_testkit::process::Seaworthy;
use serde_json::Value;

use crate::front::{Front, before, before_with};

/// Sends raw bytes and reads the answer.
async fn answer(seaworthy: &Seaworthy, bytes: impl AsRef<[u8]>) -> Result<Response> {
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection.send(bytes).await?;
    connection.response("GET").await
}

/// The document of an error, after everything that all of them promise has been checked.
fn envelope(answer: &Response, status: u16, kind: &str) -> Result<Value> {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{kind}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{kind}");
    let document = answer.json()?;
    let members: Vec<_> = document
        .as_object()
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default();
    assert_eq!(members, ["error"]);
    let error = document["error"].clone();
    let members: Vec<_> = error
        .as_object()
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default();
    assert_eq!(
        members,
        ["type", "message", "details", "request_id", "timestamp"]
    );
    assert_eq!(error["type"], kind);
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.ends_with('.')),
        "{error}"
    );
    assert!(error["details"].is_object(), "{error}");
    assert_eq!(
        error["request_id"].as_str(),
        answer.header("x-request-id"),
        "{kind}"
    );
    assert!(
        error["request_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "{error}"
    );
    assert!(
        is_timestamp(error["timestamp"].as_str().unwrap_or_default()),
        "{error}"
    );
    assert_eq!(
        answer.header("retry-after").is_some(),
        status == 503,
        "{kind}"
    );
    Ok(error)
}

/// `2024-01-15T10:00:00Z`
fn is_timestamp(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00Z"
}

/// One request for each error that needs nothing but its bytes.
const REFUSED: &[(&str, u16, &str)] = &[
    ("GET / HTTP/1.1\r\n\r\n", 400, "MalformedRequest"),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        400,
        "MalformedRequest",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n",
        400,
        "MalformedRequest",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "MalformedRequest",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nmore than ten",
        413,
        "PayloadTooLarge",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n",
        417,
        "ExpectationFailed",
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
        "UnsupportedTransferCoding",
    ),
    (
        "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        505,
        "UnsupportedVersion",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX-Half:",
        408,
        "RequestTimeout",
    ),
    (
        "GET /sleep/60000 HTTP/1.1\r\nHost: a\r\n\r\n",
        504,
        "Timeout",
    ),
    (
        "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n",
        504,
        "UpstreamTimeout",
    ),
];

const LIMITS: &str = "limits: {max_body: 10, header_timeout: 300ms, response_timeout: 500ms}\nroutes: [{match: /sleep/*, timeout: 300ms}]";

#[tokio::test]
async fn every_refusal_has_the_envelope() -> Result<()> {
    let front = Front::configured(LIMITS).await?;
    for (bytes, status, kind) in REFUSED {
        let answer = answer(&front.seaworthy, bytes).await?;
        envelope(&answer, *status, kind)?;
    }
    let to = front.seaworthy.public();
    let long = format!("/{}", "x".repeat(20_000));
    envelope(&client::get(to, &long).await?, 414, "UriTooLong")?;
    let large = "x".repeat(70_000);
    let answer = client::send(to, "GET", "/", &[("X-Large", &large)], b"").await?;
    envelope(&answer, 431, "HeadersTooLarge")?;
    Ok(())
}

#[tokio::test]
async fn the_callers_id_is_in_the_envelope() -> Result<()> {
    let front = Front::configured(LIMITS).await?;
    let headers = [("X-Request-ID", "abc123")];
    let answer = client::send(
        front.seaworthy.public(),
        "POST",
        "/",
        &headers,
        b"more than ten",
    )
    .await?;
    let error = envelope(&answer, 413, "PayloadTooLarge")?;
    assert_eq!(error["request_id"], "abc123");
    Ok(())
}

#[tokio::test]
async fn an_app_that_is_not_there_is_502() -> Result<()> {
    let nobody = free()?;
    let seaworthy = Seaworthy::build().connect(nobody).start().await?;
    let answer = client::get(seaworthy.public(), "/").await?;
    envelope(&answer, 502, "UpstreamUnreachable")?;
    Ok(())
}

#[tokio::test]
async fn an_app_that_closes_or_talks_nonsense_is_502() -> Result<()> {
    let cases: &[(&[u8], &str)] = &[
        (b"", "UpstreamClosed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "UpstreamClosed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "BadUpstreamResponse"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "BadUpstreamResponse",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "BadUpstreamResponse",
        ),
        (
            b"HTTP/1.1 200 OK\r\nBad Name: 1\r\nContent-Length: 0\r\n\r\n",
            "BadUpstreamResponse",
        ),
    ];
    for (bytes, kind) in cases {
        let (seaworthy, _origin) = before(Script::once(*bytes)).await?;
        let answer = client::send(seaworthy.public(), "POST", "/", &[], b"x").await?;
        envelope(&answer, 502, kind)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_apps_own_errors_pass_untouched() -> Result<()> {
    let front = Front::start().await?;
    for status in [400, 404, 418, 500, 502, 503] {
        let answer = client::get(front.seaworthy.public(), &format!("/status/{status}")).await?;
        assert_eq!(answer.status, status);
        assert!(
            answer.text().starts_with(&status.to_string()),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("retry-after"), None);
    }
    Ok(())
}

#[tokio::test]
async fn failures_of_the_app_that_are_no_json_are_wrapped_where_that_is_wanted() -> Result<()> {
    let build = || Seaworthy::build().config("errors: {wrap_upstream: 5xx-nonjson}\n");
    for (bytes, status, text) in [
        (
            "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            500,
            "{}",
        ),
        (
            "HTTP/1.1 404 No\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
            404,
            "no",
        ),
    ] {
        let (seaworthy, _origin) = before_with(Script::once(bytes), build()).await?;
        let own = client::get(seaworthy.public(), "/").await?;
        assert_eq!((own.status, own.text().as_str()), (status, text));
    }
    let page = "HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n<h1>/app/";
    let (seaworthy, _origin) = before_with(Script::once(page), build()).await?;
    let wrapped = client::get(seaworthy.public(), "/").await?;
    assert_eq!(wrapped.header("retry-after"), Some("7"));
    envelope(&wrapped, 503, "AppFailed")?;
    let page = seaworthy.look("/metrics").await?.text();
    assert!(
        page.contains("seaworthy_errors_total{type=\"AppFailed\"} 1"),
        "{page}"
    );
    Ok(())
}

#[tokio::test]
async fn problem_documents_are_rfc_9457() -> Result<()> {
    let front = Front::configured(&format!("{LIMITS}\nerrors: {{format: problem}}")).await?;
    for (bytes, status, kind) in REFUSED {
        let answer = answer(&front.seaworthy, bytes).await?;
        assert_eq!(answer.status, *status, "{}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let document = answer.json()?;
        assert!(
            document["type"]
                .as_str()
                .is_some_and(|name| name.ends_with(kind)),
            "{document}"
        );
        assert!(
            document["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty()),
            "{document}"
        );
        assert_eq!(document["status"], *status);
        assert_eq!(
            document["request_id"].as_str(),
            answer.header("x-request-id")
        );
    }
    Ok(())
}

#[tokio::test]
async fn each_kind_can_be_explained() -> Result<()> {
    let list = Seaworthy::verb(["explain", "--json"]).await?;
    let entries: Vec<Value> = serde_json::from_str(&list.stdout)?;
    let known: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry["type"].as_str())
        .collect();
    for (_, status, kind) in REFUSED {
        let entry = entries.iter().find(|entry| entry["type"] == *kind);
        assert_eq!(
            entry.map(|entry| entry["status"].clone()),
            Some((*status).into()),
            "{known:?}"
        );
    }
    for kind in &known {
        let explained = Seaworthy::verb(["explain", kind]).await?;
        assert_eq!(
            (explained.code(), explained.stderr.as_str()),
            (0, ""),
            "{kind}"
        );
        assert!(
            explained.stdout.starts_with(kind) && explained.stdout.lines().count() > 2,
            "{}",
            explained.stdout
        );
    }
    let unknown = Seaworthy::verb(["explain", "UpstreamCrash"]).await?;
    assert_eq!((unknown.code(), unknown.stdout.as_str()), (2, ""));
    assert!(
        unknown.stderr.contains("did you mean UpstreamCrashed?"),
        "{}",
        unknown.stderr
    );
    Ok(())
}
