//! Limits of time and size: what is refused, how it is said, and what of it reaches the app.

use std::time::{Duration, Instant};

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, End, Response};
use seaworthy_testkit::origin::{Script, Step, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{self, PATIENCE};

use crate::front::{Front, before_with};

const SHORT: Duration = Duration::from_millis(300);

fn refused(answer: &Response, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.error_type().as_deref(), Some(kind));
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_408() -> Result<()> {
    let front = Front::with(Seaworthy::build().set("limits.header_timeout", "300ms")).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    let start = Instant::now();
    connection.send("GET / HTTP/1.1\r\nHost: te").await?;
    let answer = connection.response("GET").await?;
    assert!(start.elapsed() >= SHORT);
    refused(&answer, 408, "RequestTimeout");
    assert!(answer.closes());
    assert_eq!(connection.closed().await?, End::Clean);
    Ok(())
}

#[tokio::test]
async fn a_head_that_drips_gains_no_time_by_it() -> Result<()> {
    let front = Front::with(Seaworthy::build().set("limits.header_timeout", "300ms")).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    connection.send("GET / HTTP/1.1\r\nHost: test\r\n").await?;
    let answered = async {
        loop {
            // A refused connection takes no more bytes; its answer is still to be read.
            connection.send("X: y\r\n").await.ok();
            let soon = tokio::time::timeout(Duration::from_millis(50), connection.head());
            if let Ok(head) = soon.await {
                return head;
            }
        }
    };
    let answer = wait::within("an answer", PATIENCE, answered).await?;
    assert_eq!(answer.status()?, 408);
    Ok(())
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_in_silence() -> Result<()> {
    let front = Front::with(Seaworthy::build().set("limits.idle", "300ms")).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    assert_eq!(
        connection.ask("GET", "/bytes/1", &[], b"").await?.status,
        200
    );
    assert_eq!(connection.closed().await?, End::Clean);
    Ok(())
}

#[tokio::test]
async fn a_body_that_pauses_too_long_is_408() -> Result<()> {
    let front = Front::with(Seaworthy::build().set("limits.body_idle", "300ms")).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    connection
        .send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf")
        .await?;
    let answer = connection.response("POST").await?;
    refused(&answer, 408, "RequestTimeout");
    assert!(answer.closes());
    Ok(())
}

#[tokio::test]
async fn an_announced_body_that_is_too_large_never_reaches_the_app() -> Result<()> {
    let builder = Seaworthy::build().set("limits.max_body", "1KiB");
    let (seaworthy, origin) = before_with(Script::always(ok("taken")), builder).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    let largest = connection.ask("POST", "/fits", &[], &[b'x'; 1024]).await?;
    assert_eq!(largest.status, 200);
    connection
        .send("POST /announced HTTP/1.1\r\nHost: test\r\nContent-Length: 1025\r\n\r\n")
        .await?;
    let answer = connection.response("POST").await?;
    refused(&answer, 413, "PayloadTooLarge");
    assert_eq!(answer.json()?["error"]["details"]["limit_bytes"], 1024);
    assert!(!origin.text().contains("/announced"), "{}", origin.text());
    Ok(())
}

#[tokio::test]
async fn a_client_that_asked_first_is_told_before_it_sends() -> Result<()> {
    let front = Front::with(Seaworthy::build().set("limits.max_body", "1KiB")).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    connection
        .send("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
        .await?;
    let answer = connection.response("POST").await?;
    refused(&answer, 413, "PayloadTooLarge");
    assert!(answer.informational.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_body_in_chunks_is_stopped_at_the_limit() -> Result<()> {
    let builder = Seaworthy::build().set("limits.max_body", "1KiB");
    let (seaworthy, origin) = before_with(Script::always(ok("taken")), builder).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send("POST /chunks HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    for _ in 0..3 {
        connection.send(&chunk).await?;
    }
    let answer = connection.response("POST").await?;
    refused(&answer, 413, "PayloadTooLarge");
    // No complete request may come of it: the app must not take half a body for a whole one.
    let complete = origin.requests();
    assert!(
        !complete.iter().any(|request| request.contains("/chunks")),
        "{complete:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_route_has_its_own_size() -> Result<()> {
    let yaml = "limits: {max_body: 10}\nroutes: [{match: 'POST /echo', max_body: none}, {match: /small, max_body: 5}]";
    let front = Front::configured(yaml).await?;
    let to = front.seaworthy.public();
    let large = client::send(to, "POST", "/echo", &[], &[b'x'; 5000]).await?;
    assert_eq!(large.status, 200);
    refused(
        &client::send(to, "POST", "/small", &[], b"sixsix").await?,
        413,
        "PayloadTooLarge",
    );
    refused(
        &client::send(to, "POST", "/other", &[], &[b'x'; 11]).await?,
        413,
        "PayloadTooLarge",
    );
    Ok(())
}

#[tokio::test]
async fn targets_and_heads_have_bounds() -> Result<()> {
    let front = Front::start().await?;
    let to = front.seaworthy.public();
    let fits = format!("/echo?{}", "x".repeat(15_000));
    assert_eq!(client::get(to, &fits).await?.status, 200);
    let long = format!("/echo?{}", "x".repeat(17_000));
    refused(&client::get(to, &long).await?, 414, "UriTooLong");
    let large = "x".repeat(70_000);
    let answer = client::send(to, "GET", "/echo", &[("X-Large", &large)], b"").await?;
    refused(&answer, 431, "HeadersTooLarge");
    let names: Vec<String> = (0..101).map(|number| format!("X-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let answer = client::send(to, "GET", "/echo", &many, b"").await?;
    refused(&answer, 431, "HeadersTooLarge");
    Ok(())
}

#[tokio::test]
async fn an_app_that_does_not_answer_is_504_in_its_time() -> Result<()> {
    let front = Front::with(Seaworthy::build().set("limits.response_timeout", "1s")).await?;
    let start = Instant::now();
    let answer = client::get(front.seaworthy.public(), "/sleep/60000").await?;
    assert!(start.elapsed() >= Duration::from_secs(1));
    refused(&answer, 504, "UpstreamTimeout");
    let after = client::get(front.seaworthy.public(), "/bytes/1").await?;
    assert_eq!(after.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_app_hears_that_nobody_waits_any_more() -> Result<()> {
    let builder = Seaworthy::build().set("limits.response_timeout", "300ms");
    let (seaworthy, origin) = before_with(Script::silent(), builder).await?;
    let answer = client::get(seaworthy.public(), "/").await?;
    refused(&answer, 504, "UpstreamTimeout");
    origin
        .wait("the end of the connection", PATIENCE, |records| {
            records
                .iter()
                .any(|record| record.text().starts_with("GET / ") && record.ended)
        })
        .await
}

#[tokio::test]
async fn a_route_has_its_own_times() -> Result<()> {
    let yaml = "routes: [{match: /sleep/*, timeout: 300ms}, {match: /hang, response_timeout: 200ms}, {match: /stream/*, timeout: 500ms}]";
    let front = Front::configured(yaml).await?;
    let to = front.seaworthy.public();
    refused(&client::get(to, "/sleep/60000").await?, 504, "Timeout");
    refused(&client::get(to, "/hang").await?, 504, "UpstreamTimeout");
    // The answer has begun, so that nothing but the cut can say it.
    let mut connection = Connection::open(to).await?;
    connection
        .send(client::request("GET", "/stream/1000?ms=50", &[], b""))
        .await?;
    assert_eq!(connection.head().await?.status()?, 200);
    let (rest, end) = connection.rest().await?;
    assert!(!rest.is_empty() && !rest.ends_with(b"0\r\n\r\n"));
    assert_eq!(end, End::Reset);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_stops_moving_is_cut_and_one_that_moves_is_not() -> Result<()> {
    let builder = Seaworthy::build().set("limits.stream_idle", "500ms");
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut steps = vec![Step::Request, Step::Send(head.into())];
    for _ in 0..8 {
        steps.push(Step::Send(b"9\r\ndata: 1\n\n\r\n".to_vec()));
        steps.push(Step::Pause(Duration::from_millis(100)));
    }
    steps.push(Step::Hang);
    let (seaworthy, _origin) = before_with(Script::steps_of(steps), builder).await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/", &[], b""))
        .await?;
    connection.head().await?;
    for _ in 0..8 {
        assert_eq!(connection.chunk().await?, b"data: 1\n\n");
    }
    assert_eq!(connection.closed().await?, End::Reset);
    Ok(())
}

#[tokio::test]
async fn connections_have_a_bound_and_room_is_given_back() -> Result<()> {
    let builder = Seaworthy::build()
        .set("threads", 1)
        .set("limits.max_connections", 3);
    let front = Front::with(builder).await?;
    let to = front.seaworthy.public();
    let mut held = Vec::new();
    let refused = loop {
        let mut connection = Connection::open(to).await?;
        let answer = connection.ask("GET", "/bytes/1", &[], b"").await?;
        if answer.status != 200 || held.len() > 3 {
            break answer;
        }
        held.push(connection);
    };
    assert_eq!(
        (refused.status, refused.error_type().as_deref()),
        (503, Some("Overloaded"))
    );
    assert_eq!(held.len(), 3);
    held.pop();
    wait::until("room again", PATIENCE, || async move {
        let answer = client::get(to, "/bytes/1").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await
}
