//! HTTP/1 in front: versions, framing, connections, and answers that must not be held back.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, End};
use seaworthy_testkit::origin::{Gate, Script, Step, chunked, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::PATIENCE;

use crate::front::{Front, before, before_with};

#[tokio::test]
async fn http_1_0_gets_its_answer_and_the_end() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    connection.send("GET /status/200 HTTP/1.0\r\n\r\n").await?;
    let answer = connection.response("GET").await?;
    assert_eq!(answer.status, 200);
    assert_eq!(connection.closed().await?, End::Clean);
    Ok(())
}

#[tokio::test]
async fn http_1_0_never_gets_chunks() -> Result<()> {
    let (seaworthy, _origin) = before(Script::always(chunked(&["one", "two"]))).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await?;
    let answer = connection.response("GET").await?;
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!((answer.status, answer.text().as_str()), (200, "onetwo"));
    Ok(())
}

#[tokio::test]
async fn http_1_0_is_kept_when_it_asks() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    for _ in 0..2 {
        connection
            .send("GET /bytes/10 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await?;
        let answer = connection.response("GET").await?;
        assert!(answer.head.has_token("connection", "keep-alive"));
        assert_eq!(answer.body.len(), 10);
    }
    Ok(())
}

#[tokio::test]
async fn one_connection_carries_many_requests_to_one_connection() -> Result<()> {
    let (seaworthy, origin) = before_with(
        Script::always(ok("hello")),
        Seaworthy::build().set("threads", 1),
    )
    .await?;
    let known = origin.connections();
    let mut connection = Connection::open(seaworthy.public()).await?;
    for number in 0..20 {
        let path = format!("/{number}");
        let answer = connection.ask("GET", &path, &[], b"").await?;
        assert_eq!((answer.status, answer.closes()), (200, false));
    }
    assert!(origin.connections() <= known + 1, "{:?}", origin.records());
    Ok(())
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    let mut sent = client::request("GET", "/sleep/100", &[], b"");
    sent.extend(client::request("POST", "/echo", &[], b"the second"));
    sent.extend(client::request("HEAD", "/bytes/7", &[], b""));
    sent.extend(client::request("GET", "/status/418", &[], b""));
    connection.send(sent).await?;
    assert_eq!(connection.response("GET").await?.text(), "slept 100ms\n");
    assert_eq!(connection.response("POST").await?.text(), "the second");
    assert_eq!(
        connection.response("HEAD").await?.header("content-length"),
        Some("7")
    );
    assert_eq!(connection.response("GET").await?.status, 418);
    Ok(())
}

#[tokio::test]
async fn head_tells_the_length_and_sends_nothing() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    let head = connection.ask("HEAD", "/bytes/1000", &[], b"").await?;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("1000"))
    );
    // A stray body would be read as the next answer.
    let next = connection.ask("GET", "/bytes/1000", &[], b"").await?;
    assert_eq!((next.status, next.body.len()), (200, 1000));
    Ok(())
}

#[tokio::test]
async fn answers_without_a_body_have_none() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    for status in [204, 304, 200] {
        let path = format!("/status/{status}");
        let answer = connection.ask("GET", &path, &[], b"").await?;
        assert_eq!(answer.status, status);
        assert!(!answer.head.has_token("transfer-encoding", "chunked"));
    }
    Ok(())
}

#[tokio::test]
async fn trailers_pass_both_ways() -> Result<()> {
    let answer = "HTTP/1.1 200 OK\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: reached\r\n\r\n";
    let (seaworthy, origin) = before(Script::always(answer)).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send("POST /t HTTP/1.1\r\nHost: test\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n")
        .await?;
    let answer = connection.response("POST").await?;
    assert_eq!(answer.text(), "abc");
    let ends: Vec<_> = answer
        .trailers
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(ends, ["reached"], "{:?}", answer.trailers);
    let text = origin.text().to_lowercase();
    assert!(text.contains("0\r\nx-sum: 42\r\n\r\n"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_from_the_app() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    connection
        .send("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .await?;
    assert_eq!(connection.head().await?.status()?, 100);
    connection.send("hello").await?;
    let answer = connection.response("POST").await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    Ok(())
}

#[tokio::test]
async fn a_refused_expectation_is_final_and_what_follows_is_no_request() -> Result<()> {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let script = Script::steps_of(vec![Step::Head, Step::Send(refusal.into()), Step::Hang]);
    let (seaworthy, origin) = before(script).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send("POST /guarded HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n")
        .await?;
    let answer = connection.response("POST").await?;
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    assert!(answer.informational.is_empty());
    // The client goes on as if it had been told to: those bytes are a body, whatever they look like.
    connection
        .send("GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .ok();
    let (rest, _) = connection.rest().await?;
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    assert!(!origin.text().contains("smuggled"), "{}", origin.text());
    Ok(())
}

#[tokio::test]
async fn early_hints_arrive_before_the_answer_is_there() -> Result<()> {
    let gate = Gate::new();
    let script = Script::steps_of(vec![
        Step::Request,
        Step::Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".to_vec()),
        Step::Wait(gate.clone()),
        Step::Send(ok("late")),
        Step::Repeat,
    ]);
    let (seaworthy, _origin) = before(script).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/", &[], b""))
        .await?;
    let hint = connection.head().await?;
    assert_eq!(hint.status()?, 103);
    assert_eq!(hint.header("link"), Some("</a.css>; rel=preload"));
    gate.open();
    assert_eq!(connection.response("GET").await?.text(), "late");
    let mut old = Connection::open(seaworthy.public()).await?;
    old.send("GET / HTTP/1.0\r\n\r\n").await?;
    let answer = old.response("GET").await?;
    assert!(answer.informational.is_empty(), "HTTP/1.0 has no 1xx");
    Ok(())
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() -> Result<()> {
    let gate = Gate::new();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let script = Script::steps_of(vec![
        Step::Request,
        Step::Send(format!("{head}9\r\ndata: 1\n\n\r\n").into()),
        Step::Wait(gate.clone()),
        Step::Send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n".to_vec()),
        Step::Repeat,
    ]);
    let (seaworthy, _origin) = before(script).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/sse", &[], b""))
        .await?;
    assert_eq!(
        connection.head().await?.header("content-type"),
        Some("text/event-stream")
    );
    assert_eq!(connection.chunk().await?, b"data: 1\n\n");
    gate.open();
    assert_eq!(connection.chunk().await?, b"data: 2\n\n");
    assert_eq!(connection.chunk().await?, b"");
    Ok(())
}

#[tokio::test]
async fn a_body_reaches_the_app_while_it_is_sent() -> Result<()> {
    let (seaworthy, origin) = before(Script::always(ok("done"))).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send("POST /up HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await?;
    origin
        .wait("the first half", PATIENCE, |records| {
            records.iter().any(|record| record.text().contains("first"))
        })
        .await?;
    connection.send("6\r\nsecond\r\n0\r\n\r\n").await?;
    assert_eq!(connection.response("POST").await?.text(), "done");
    assert!(origin.text().contains("second"));
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_ended_its_side_still_gets_its_answer() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/sleep/200", &[], b""))
        .await?;
    connection.half_close().await?;
    assert_eq!(connection.response("GET").await?.text(), "slept 200ms\n");
    assert_eq!(connection.closed().await?, End::Clean);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_visibly_cut() -> Result<()> {
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n";
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";
    for broken in [chunk, length] {
        let gate = Gate::new();
        let script = Script::steps_of(vec![
            Step::Request,
            Step::Send(broken.into()),
            Step::Wait(gate.clone()),
            Step::Reset,
        ]);
        let (seaworthy, _origin) = before(script).await?;
        let mut connection = Connection::open(seaworthy.public()).await?;
        connection
            .send(client::request("GET", "/", &[], b""))
            .await?;
        assert_eq!(connection.head().await?.status()?, 200);
        gate.open();
        let (rest, end) = connection.rest().await?;
        assert!(!rest.ends_with(b"0\r\n\r\n"), "the cut looks like an end");
        assert_eq!(end, End::Reset);
    }
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_that_the_app_closed_costs_no_get() -> Result<()> {
    let builder = Seaworthy::build().set("threads", 1);
    let script = Script::close_on_second(ok("hello"));
    let (seaworthy, _origin) = before_with(script, builder).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    for path in ["/first", "/second"] {
        let answer = connection.ask("GET", path, &[], b"").await?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    }
    Ok(())
}

#[tokio::test]
async fn an_absolute_target_names_the_host() -> Result<()> {
    let (seaworthy, origin) = before(Script::always(ok("hello"))).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send("GET http://shop.test/a?b=c HTTP/1.1\r\nHost: other\r\n\r\n")
        .await?;
    assert_eq!(connection.response("GET").await?.status, 200);
    connection
        .send("OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
        .await?;
    assert_eq!(connection.response("OPTIONS").await?.status, 200);
    let text = origin.text();
    assert!(text.contains("GET /a?b=c HTTP/1.1\r\n"), "{text}");
    assert!(text.contains("host: shop.test\r\n"), "{text}");
    assert!(text.contains("OPTIONS * HTTP/1.1\r\n"), "{text}");
    Ok(())
}

/// Needs curl.
mod real {
    use super::{Front, PATIENCE, Result};
    use seaworthy_testkit::server::tool;

    #[tokio::test]
    async fn curl_speaks_each_version() -> Result<()> {
        let front = Front::start().await?;
        let url = format!("http://{}/bytes/100000", front.seaworthy.public());
        for version in [
            "--http1.0",
            "--http1.1",
            "--http2",
            "--http2-prior-knowledge",
        ] {
            let words = [
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{size_download}",
                version,
                &url,
            ];
            let output = tool::run("curl", &words, PATIENCE).await?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(said, "200 100000", "{version}: {output:?}");
        }
        Ok(())
    }
}
