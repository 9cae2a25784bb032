use std::time::Duration;

use super::*;
use crate::client::{Connection, End};
use crate::wait::PATIENCE;

#[tokio::test]
async fn records_what_it_answers() {
    let origin = Origin::tcp(Script::always(ok("hi"))).await.unwrap();
    let mut connection = Connection::open(origin.address()).await.unwrap();
    for path in ["/a", "/b"] {
        let answer = connection.ask("POST", path, &[], b"body").await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    }
    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests[1].starts_with("POST /b HTTP/1.1\r\n") && requests[1].ends_with("\r\n\r\nbody")
    );
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn answers_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let origin = Origin::unix(&path, Script::once(chunked(&["ab", "c"]))).unwrap();
    let mut connection = Connection::open(origin.address()).await.unwrap();
    let answer = connection.ask("GET", "/", &[], b"").await.unwrap();
    assert_eq!(
        (answer.text().as_str(), answer.chunks.as_slice()),
        ("abc", [2, 1].as_slice())
    );
    assert_eq!(connection.closed().await.unwrap(), End::Clean);
}

#[tokio::test]
async fn a_reset_is_seen_as_one() {
    let origin = Origin::tcp(Script::reset_after(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    ))
    .await
    .unwrap();
    let mut connection = Connection::open(origin.address()).await.unwrap();
    let error = connection.ask("GET", "/", &[], b"").await.unwrap_err();
    assert!(error.to_string().contains("Reset"), "{error}");
}

#[tokio::test]
async fn closes_an_idle_connection_when_told() {
    let gate = Gate::new();
    let origin = Origin::tcp(Script::fin_on_idle(ok(""), &gate))
        .await
        .unwrap();
    let mut connection = Connection::open(origin.address()).await.unwrap();
    connection.ask("GET", "/", &[], b"").await.unwrap();
    gate.open();
    assert_eq!(connection.closed().await.unwrap(), End::Clean);
}

#[tokio::test]
async fn a_deaf_origin_fills_its_buffers() {
    let origin = Origin::tcp(Script::steps_of(vec![Step::Deaf, Step::Hang]))
        .await
        .unwrap();
    let mut connection = Connection::open(origin.address())
        .await
        .unwrap()
        .patience(Duration::from_millis(200));
    assert!(connection.send(vec![0; 64 << 20]).await.is_err());
    assert_eq!(origin.bytes(), b"");
}

#[tokio::test]
async fn informational_heads_come_before_the_body_is_sent() {
    let script = Script::informational("HTTP/1.1 100 Continue\r\n\r\n", ok("done"));
    let origin = Origin::tcp(script).await.unwrap();
    let mut connection = Connection::open(origin.address()).await.unwrap();
    connection
        .send("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(connection.head().await.unwrap().status().unwrap(), 100);
    connection.send("ab").await.unwrap();
    assert_eq!(connection.response("POST").await.unwrap().text(), "done");
}

#[tokio::test]
async fn the_first_pooled_connection_closes_under_the_second_request() {
    let origin = Origin::tcp(Script::close_on_second(ok("1"))).await.unwrap();
    let mut connection = Connection::open(origin.address()).await.unwrap();
    connection.ask("GET", "/", &[], b"").await.unwrap();
    connection.ask("GET", "/", &[], b"").await.unwrap_err();
    let mut fresh = Connection::open(origin.address()).await.unwrap();
    fresh.ask("GET", "/", &[], b"").await.unwrap();
    fresh.ask("GET", "/", &[], b"").await.unwrap();
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn says_what_came_when_it_waits_in_vain() {
    let origin = Origin::tcp(Script::silent()).await.unwrap();
    let mut connection = Connection::open(origin.address()).await.unwrap();
    connection.send("half").await.unwrap();
    origin
        .wait("half", PATIENCE, |records| {
            records.iter().any(|record| record.bytes == b"half")
        })
        .await
        .unwrap();
    let error = origin
        .wait("all", Duration::from_millis(10), |_| false)
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("half"), "{error:#}");
}
