//! Events: each change and each fault is told once, with its reason, and strangers cannot flood the log with them.

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::origin::{Origin, Script};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::Value;

/// The binary in front of an origin that plays `script`.
async fn before(script: Script) -> Result<(Seaworthy, Origin)> {
    let origin = Origin::tcp(script).await?;
    let started = Seaworthy::build().connect(origin.address()).ready().await?;
    Ok((started, origin))
}

/// Asks for something and returns the event that tells of it, which bears the request's id.
async fn told(seaworthy: &Seaworthy, event: &str, id: &str) -> Result<Value> {
    let headers = [("X-Request-ID", id), ("Connection", "close")];
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/", &headers, b""))
        .await?;
    // What comes back is another test's matter, and not every answer here is whole.
    connection.response("GET").await.ok();
    let of_request = || {
        let mut events = seaworthy.output().events(event);
        events.retain(|line| line["request_id"] == id);
        events.pop()
    };
    wait::until(&format!("{event} of {id}"), PATIENCE, || {
        std::future::ready(of_request())
    })
    .await
}

async fn refused(seaworthy: &Seaworthy) -> Result<()> {
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
        .await?;
    assert_eq!(connection.response("GET").await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn readiness_that_goes_and_comes_back_is_told_with_its_reason() -> Result<()> {
    let mut seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    let first = seaworthy.wait_event("service.ready").await?;
    assert_eq!(first["level"], "info");
    client::get(seaworthy.public(), "/crash").await?;
    let lost = seaworthy.wait_event("service.not_ready").await?;
    assert_eq!(lost["level"], "warn");
    assert!(
        lost["reason"]
            .as_str()
            .is_some_and(|why| why.contains("app")),
        "{lost}"
    );
    seaworthy.wait_events("service.ready", 2, PATIENCE).await?;
    // Stopping is no loss of readiness: it has events of its own.
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    assert_eq!(seaworthy.output().events("service.not_ready").len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_listener_is_told_of_when_it_opens_and_when_it_is_gone() -> Result<()> {
    let mut seaworthy = Seaworthy::run(App::Mock.command()?)
        .set("shutdown.propagation", "0s")
        .ready()
        .await?;
    let public = seaworthy.public().to_string();
    let opened = seaworthy.wait_event("listener.opened").await?;
    assert_eq!(opened["message"], format!("listening on http://{public}"));
    assert!(seaworthy.output().events("listener.closed").is_empty());
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let closed = seaworthy.output().events("listener.closed");
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0]["public"], public);
    Ok(())
}

#[tokio::test]
async fn a_request_that_breaks_the_rules_is_told_with_what_is_wrong() -> Result<()> {
    let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    refused(&seaworthy).await?;
    let line = seaworthy.wait_event("http.rejected").await?;
    for (key, value) in [
        ("from", "client"),
        ("error", "MalformedRequest"),
        ("client", "127.0.0.1"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("Content-Length")),
        "{line}"
    );
    let same = |access: &Value| access["request_id"] == line["request_id"];
    wait::holds("its access line", PATIENCE, || {
        seaworthy.output().events("request").iter().any(same)
    })
    .await
}

#[tokio::test]
async fn a_flood_of_nonsense_costs_a_few_lines_and_none_is_lost() -> Result<()> {
    let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    let suppressed = || {
        let lines = seaworthy.output().events("http.rejected");
        let held_back = lines.iter().filter_map(|line| line["suppressed"].as_u64());
        (lines.len() as u64, held_back.sum::<u64>())
    };
    // Until a second has passed and a line says how many it stands for.
    let mut sent = 0;
    while suppressed().1 == 0 {
        assert!(sent < 100_000, "nothing was ever held back");
        refused(&seaworthy).await?;
        sent += 1;
    }
    let (lines, held_back) = suppressed();
    assert_eq!(lines + held_back, sent);
    assert!(lines <= 11, "{lines} of {sent}");
    let counted = seaworthy.look("/metrics").await?.text();
    let counted = counted
        .lines()
        .find(|line| line.starts_with("seaworthy_errors_total{type=\"MalformedRequest\"}"));
    let number = counted.and_then(|line| line.rsplit(' ').next());
    assert_eq!(number, Some(sent.to_string().as_str()));
    Ok(())
}

#[tokio::test]
async fn an_app_that_fails_a_request_is_told_of_in_each_way_it_can() -> Result<()> {
    let address = free()?;
    let seaworthy = Seaworthy::build().connect(address).start().await?;
    let line = told(&seaworthy, "upstream.failed", "absent").await?;
    assert_eq!(line["error"], "UpstreamUnreachable");

    let (seaworthy, _origin) = before(Script::once("")).await?;
    let line = told(&seaworthy, "upstream.failed", "closes").await?;
    assert_eq!(line["error"], "UpstreamClosed");
    assert_eq!(line["level"], "warn");

    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let (seaworthy, _origin) = before(Script::once(half)).await?;
    let line = told(&seaworthy, "upstream.failed", "half").await?;
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("in the middle of an answer")),
        "{line}"
    );
    Ok(())
}

#[tokio::test]
async fn an_answer_that_breaks_the_rules_is_the_apps() -> Result<()> {
    let both =
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let (seaworthy, _origin) = before(Script::always(both)).await?;
    let line = told(&seaworthy, "http.rejected", "both").await?;
    assert_eq!(
        (&line["from"], &line["error"], &line["level"]),
        (&"app".into(), &"BadUpstreamResponse".into(), &"warn".into())
    );
    Ok(())
}
