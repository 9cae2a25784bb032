//! Connections that switch to another protocol, or try to.

use seaworthy_testkit::client::{Connection, End};
use seaworthy_testkit::origin::{Gate, Record, Script, Step, ok};
use seaworthy_testkit::wait::PATIENCE;

use crate::front::{Front, run};

const OFFER: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn accepting(behind: &str, then: Vec<Step>) -> Script {
    let mut steps = vec![
        Step::Request,
        Step::Send(format!("{ACCEPTED}{behind}").into_bytes()),
    ];
    steps.extend(then);
    Script::steps_of(steps)
}

async fn switched(front: &Front, offer: &str) -> Connection {
    let mut client = front.open().await;
    client.send(offer).await.expect("the edge reads");
    let head = client.head().await.expect("an answer");
    assert_eq!(head.status().expect("a status"), 101);
    assert!(head.has_token("connection", "upgrade") && head.has_token("upgrade", "websocket"));
    assert_eq!(
        head.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(
        (
            head.header("content-length"),
            head.header("transfer-encoding")
        ),
        (None, None)
    );
    client
}

async fn received(front: &Front, end: &str) {
    let came = |records: &[Record]| records[0].text().ends_with(end);
    front
        .origin
        .wait(end, PATIENCE, came)
        .await
        .expect("it came");
}

#[test]
fn bytes_pass_both_ways_as_they_are() {
    run(async {
        let front = Front::of(accepting("at once", vec![Step::Hang])).await;
        let mut client = switched(&front, OFFER).await;
        assert_eq!(
            client.exactly(7).await.expect("what came with the head"),
            b"at once"
        );
        let seen = front.origin.text().to_lowercase();
        assert!(
            seen.contains("\r\nconnection: upgrade\r\n")
                && seen.contains("\r\nupgrade: websocket\r\n")
        );
        for piece in ["\x01\0\r\n\r\n", "GET /admin HTTP/1.1\r\n\r\n", "0\r\n\r\n"] {
            client.send(piece).await.expect("the edge reads");
            received(&front, piece).await;
        }
    });
}

#[test]
fn bytes_behind_the_offer_wait_for_the_switch() {
    run(async {
        let front = Front::of(accepting("", vec![Step::Hang])).await;
        let mut client = switched(&front, &format!("{OFFER}early")).await;
        received(&front, "early").await;
        client.send("later").await.expect("the edge reads");
        received(&front, "earlylater").await;
    });
}

#[test]
fn a_large_stream_passes_both_ways_at_once() {
    run(async {
        const SIZE: usize = 4 << 20;
        let front = Front::of(accepting("", vec![Step::Flood(SIZE as u64), Step::Hang])).await;
        let mut client = switched(&front, OFFER).await;
        let sent = vec![b'y'; SIZE];
        client.send(&sent).await.expect("the edge reads");
        assert_eq!(
            client.exactly(SIZE).await.expect("all of it"),
            vec![b'x'; SIZE]
        );
        let came = |records: &[Record]| records[0].bytes.ends_with(&sent);
        front
            .origin
            .wait("the stream", PATIENCE, came)
            .await
            .expect("it came");
    });
}

#[test]
fn the_end_of_the_clients_side_reaches_the_app_and_the_answer_still_comes() {
    run(async {
        let after = vec![Step::End, Step::Send(b"goodbye".to_vec()), Step::Close];
        let front = Front::of(accepting("", after)).await;
        let mut client = switched(&front, OFFER).await;
        client.send("last words").await.expect("the edge reads");
        client.half_close().await.expect("open");
        let (bytes, end) = client.rest().await.expect("an end");
        assert_eq!((bytes.as_slice(), end), (&b"goodbye"[..], End::Clean));
        received(&front, "last words").await;
    });
}

#[test]
fn the_end_of_the_apps_side_reaches_the_client() {
    run(async {
        for (step, expected) in [(Step::Close, End::Clean), (Step::Reset, End::Reset)] {
            let gate = Gate::new();
            let steps = vec![Step::Wait(gate.clone()), step];
            let front = Front::of(accepting("bye", steps)).await;
            let mut client = switched(&front, OFFER).await;
            gate.open();
            assert_eq!(client.rest().await.expect("an end").1, expected);
        }
    });
}

#[test]
fn a_client_that_resets_a_tunnel_ends_it_for_the_app() {
    run(async {
        let front = Front::of(accepting("", vec![Step::Hang])).await;
        let client = switched(&front, OFFER).await;
        client.reset().expect("a socket option");
        let ended = |records: &[Record]| records[0].ended;
        front
            .origin
            .wait("the end", PATIENCE, ended)
            .await
            .expect("ended");
    });
}

#[test]
fn a_refused_offer_is_an_answer_like_any_other() {
    run(async {
        for status in ["200 OK", "403 Forbidden", "426 Upgrade Required"] {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
            let front = Front::of(Script::always(answer)).await;
            let mut client = front.open().await;
            // The second request stands where the tunnel's first bytes would.
            client
                .send(format!("{OFFER}{OFFER}"))
                .await
                .expect("the edge reads");
            for _ in 0..2 {
                let answer = client.response("GET").await.expect("an answer");
                assert_eq!(answer.status.to_string(), status[..3]);
                assert_eq!(answer.text(), "no");
            }
            assert_eq!(front.origin.requests().len(), 2);
            assert_eq!(front.origin.connections(), 1, "the connection is kept");
        }
    });
}

#[test]
fn what_is_no_offer_is_not_passed_on() {
    run(async {
        let front = Front::of(Script::always(ok("plain"))).await;
        for (nth, request) in [
            // Without Connection, an Upgrade field means nothing.
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
            // A tunnel of HTTP/2 would carry requests past every layer.
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n",
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(front.answer("GET", request).await.status, 200, "{request:?}");
            let seen = front.origin.requests()[nth].to_lowercase();
            assert!(!seen.contains("upgrade") && !seen.contains("settings"), "{seen:?}");
        }
    });
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_bad_gateway() {
    run(async {
        let front = Front::of(accepting("GET /x HTTP/1.1\r\n\r\n", vec![Step::Hang])).await;
        let mut client = front.open().await;
        let answer = client.ask("GET", "/", &[], b"").await.expect("an answer");
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains("BadUpstreamResponse"));
    });
}
