//! Connections to the app: when one is used again, and when it must not be.

use std::time::Duration;

use seaworthy_http::upstream::{Config, Roster};
use seaworthy_testkit::origin::{Gate, Origin, Record, Script, Step, ok};
use seaworthy_testkit::wait::PATIENCE;

use crate::front::{Front, Setup, run};

const CLOSING: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

async fn get(front: &Front) -> u16 {
    front.answer("GET", CLOSING).await.status
}

#[test]
fn one_connection_serves_many_clients() {
    run(async {
        let front = Front::greeting().await;
        for _ in 0..20 {
            assert_eq!(get(&front).await, 200);
        }
        assert_eq!(front.origin.connections(), 1);
        assert!(!front.origin.text().to_lowercase().contains("connection:"));
    });
}

#[test]
fn an_app_on_a_unix_socket_is_an_app() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let script = Script::always(ok("hello"));
        let origin = Origin::unix(&folder.path().join("app.sock"), script).expect("a socket");
        let front = Front::before(origin, Setup::default()).await;
        for _ in 0..3 {
            assert_eq!(get(&front).await, 200);
        }
        assert_eq!(front.origin.connections(), 1);
        assert!(
            front
                .origin
                .text()
                .contains("\r\nx-forwarded-for: 127.0.0.1\r\n")
        );
    });
}

#[test]
fn requests_at_once_have_connections_of_their_own() {
    run(async {
        let gate = Gate::new();
        let steps = vec![
            Step::Request,
            Step::Wait(gate.clone()),
            Step::Send(ok("")),
            Step::Repeat,
        ];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut clients = Vec::new();
        for nth in 1..=3 {
            let mut client = front.open().await;
            client.send(CLOSING).await.expect("the edge reads");
            front.origin.wait_requests(nth).await.expect("it came");
            clients.push(client);
        }
        gate.open();
        for client in &mut clients {
            assert_eq!(client.response("GET").await.expect("an answer").status, 200);
        }
        assert_eq!(front.origin.connections(), 3);
        // All of them were kept.
        assert_eq!(get(&front).await, 200);
        assert_eq!(front.origin.connections(), 3);
    });
}

#[test]
fn no_more_than_so_many_are_kept() {
    run(async {
        let pool = Config {
            idle_connections: 0,
            ..Config::default()
        };
        let setup = Setup {
            pool,
            ..Setup::default()
        };
        let front = Front::with(Script::always(ok("")), setup).await;
        for nth in 1..=3 {
            assert_eq!(get(&front).await, 200);
            assert_eq!(front.origin.connections(), nth);
        }
    });
}

#[test]
fn an_idle_connection_expires() {
    run(async {
        let pool = Config {
            idle: Duration::from_millis(700),
            ..Config::default()
        };
        let setup = Setup {
            pool,
            ..Setup::default()
        };
        let front = Front::with(Script::always(ok("")), setup).await;
        assert_eq!(get(&front).await, 200);
        front.upstream.sweep();
        assert!(!front.origin.records()[0].ended, "not before its time");
        let expired = async {
            while !front.origin.records()[0].ended {
                tokio::time::sleep(Duration::from_millis(10)).await;
                front.upstream.sweep();
            }
        };
        tokio::time::timeout(PATIENCE, expired)
            .await
            .expect("swept");
        assert_eq!(get(&front).await, 200);
        assert_eq!(front.origin.connections(), 2);
    });
}

#[test]
fn a_connection_that_expired_unswept_is_not_used_either() {
    run(async {
        let pool = Config {
            idle: Duration::from_millis(100),
            ..Config::default()
        };
        let setup = Setup {
            pool,
            ..Setup::default()
        };
        let front = Front::with(Script::always(ok("")), setup).await;
        assert_eq!(get(&front).await, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(get(&front).await, 200);
        assert_eq!(front.origin.connections(), 2);
    });
}

#[test]
fn what_an_answer_leaves_behind_never_answers_the_next_request() {
    run(async {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
            "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nevil",
        ] {
            let front = Front::of(Script::always(answer)).await;
            let first = front.answer("GET", CLOSING).await;
            let second = front.answer("GET", CLOSING).await;
            assert_eq!(first.status, second.status, "{answer:?}");
            assert!(!second.text().contains("evil"), "{answer:?}");
            assert_eq!(front.origin.connections(), 2, "{answer:?}");
        }
    });
}

#[test]
fn what_comes_while_idle_never_answers_the_next_request() {
    run(async {
        let gate = Gate::new();
        let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec();
        let steps = vec![
            Step::Request,
            Step::Send(ok("good")),
            Step::Wait(gate.clone()),
            Step::Send(evil),
            Step::Send(b"!".to_vec()),
            Step::Hang,
        ];
        let front = Front::of(Script::steps_of(steps)).await;
        assert_eq!(front.answer("GET", CLOSING).await.text(), "good");
        gate.open();
        // Opening wakes the origin, which writes at once; whether it has, a round trip on loopback shows.
        tokio::task::yield_now().await;
        assert_eq!(front.answer("GET", CLOSING).await.text(), "good");
        assert_eq!(front.origin.connections(), 2);
    });
}

#[test]
fn an_answer_that_closes_its_connection_is_the_last_on_it() {
    run(async {
        for answer in [
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        ] {
            let front = Front::of(Script::always(answer)).await;
            assert_eq!((get(&front).await, get(&front).await), (200, 200));
            assert_eq!(front.origin.connections(), 2, "{answer:?}");
        }
        let kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
        let front = Front::of(Script::always(kept)).await;
        assert_eq!((get(&front).await, get(&front).await), (200, 200));
        assert_eq!(front.origin.connections(), 1);
    });
}

#[test]
fn an_answer_that_came_before_the_end_of_the_request_is_the_last_on_its_connection() {
    run(async {
        let steps = vec![Step::Head, Step::Send(ok("early")), Step::Hang];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client
            .send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\nhalf")
            .await
            .expect("the edge reads");
        assert_eq!(
            client.response("POST").await.expect("early").text(),
            "early"
        );
        let ended = |records: &[Record]| records[0].ended;
        front
            .origin
            .wait("the end", PATIENCE, ended)
            .await
            .expect("ended");
        // The client's connection goes on once the rest of the body is through.
        client.send([b'x'; 36]).await.expect("the edge reads");
        let next = client
            .ask("GET", "/next", &[], b"")
            .await
            .expect("an answer");
        assert_eq!(next.status, 200);
        assert_eq!(front.origin.connections(), 2);
    });
}

#[test]
fn a_client_that_leaves_takes_its_connection_to_the_app_with_it() {
    run(async {
        let steps = vec![
            Step::Request,
            Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart".to_vec()),
            Step::Hang,
        ];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client.send(CLOSING).await.expect("the edge reads");
        client.head().await.expect("an answer");
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
fn an_app_that_is_not_there_is_named_as_the_reason() {
    run(async {
        let free = seaworthy_testkit::address::free()
            .expect("a port")
            .to_string();
        let roster = Roster::remote(free.parse().expect("an address"));
        let origin = Origin::tcp(Script::silent()).await.expect("a port");
        let front = Front::start(origin, &roster, Setup::default()).await;
        let answer = front.answer("POST", CLOSING.replace("GET", "POST")).await;
        assert_eq!(answer.status, 502);
        assert!(
            answer.text().contains("UpstreamUnreachable"),
            "{}",
            answer.text()
        );
    });
}
