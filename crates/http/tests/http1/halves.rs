//! One half of a connection ends before the other (G29).

use std::time::{Duration, Instant};

use seaworthy_testkit::client::End;
use seaworthy_testkit::origin::{Gate, Record, Script, Step, chunked, ok};
use seaworthy_testkit::wait::PATIENCE;

use crate::front::{Front, run};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn cut(head: &str, part: &str, end: Step) -> Script {
    let sent = format!("HTTP/1.1 200 OK\r\n{head}\r\n{part}").into_bytes();
    Script::steps_of(vec![Step::Request, Step::Send(sent), end])
}

#[test]
fn g29_a_client_that_ends_its_side_still_gets_its_answer() {
    run(async {
        for request in [
            GET.to_owned(),
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                .to_owned(),
            "GET / HTTP/1.0\r\n\r\n".to_owned(),
        ] {
            let gate = Gate::new();
            let steps = vec![
                Step::Request,
                Step::Wait(gate.clone()),
                Step::Send(chunked(&["late", " but whole"])),
                Step::Repeat,
            ];
            let front = Front::of(Script::steps_of(steps)).await;
            let mut client = front.open().await;
            client.send(&request).await.expect("the edge reads");
            client.half_close().await.expect("open");
            front.origin.wait_requests(1).await.expect("it came");
            gate.open();
            let answer = client.response("GET").await.expect("an answer");
            assert_eq!(answer.text(), "late but whole", "{request:?}");
            assert_eq!(client.closed().await.expect("closed"), End::Clean);
        }
    });
}

#[test]
fn g29_the_answer_comes_even_after_the_edge_began_to_watch_for_leaving_clients() {
    run(async {
        let pause = Duration::from_millis(700);
        let steps = vec![Step::Request, Step::Pause(pause), Step::Send(ok("late"))];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client.send(GET).await.expect("the edge reads");
        client.half_close().await.expect("open");
        assert_eq!(
            client.response("GET").await.expect("an answer").text(),
            "late"
        );
    });
}

#[test]
fn g29_pipelined_requests_are_answered_after_a_half_close() {
    run(async {
        let front = Front::greeting().await;
        let mut client = front.open().await;
        client
            .send([GET, GET, GET].concat())
            .await
            .expect("the edge reads");
        client.half_close().await.expect("open");
        for _ in 0..3 {
            assert_eq!(client.response("GET").await.expect("an answer").status, 200);
        }
        assert_eq!(client.closed().await.expect("closed"), End::Clean);
    });
}

#[test]
fn g29_a_body_that_its_client_ended_early_is_never_completed() {
    run(async {
        let front = Front::greeting().await;
        let mut client = front.open().await;
        client
            .send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
            .await
            .expect("the edge reads");
        client.half_close().await.expect("open");
        assert_eq!(
            client.response("POST").await.expect("an answer").status,
            400
        );
        client.closed().await.expect("closed");
        let ended = |records: &[Record]| records.iter().all(|record| record.ended);
        front
            .origin
            .wait("the end", PATIENCE, ended)
            .await
            .expect("ended");
        assert_eq!(front.origin.requests(), [""; 0]);
    });
}

#[test]
fn g29_a_body_that_the_app_cut_is_visibly_cut() {
    run(async {
        for end in [Step::Reset, Step::Close] {
            for (head, part) in [
                ("Content-Length: 10\r\n", "hello"),
                ("Content-Length: 10\r\n", ""),
                ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"),
                ("Transfer-Encoding: chunked\r\n", "5\r\nhel"),
                ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"),
                ("Transfer-Encoding: chunked\r\n", ""),
            ] {
                let front = Front::of(cut(head, part, end.clone())).await;
                for version in ["1.1", "1.0"] {
                    let mut client = front.open().await;
                    let request = format!("GET / HTTP/{version}\r\nHost: x\r\n\r\n");
                    client.send(request).await.expect("the edge reads");
                    let (bytes, ended) = client.rest().await.expect("an end");
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    assert_eq!(ended, End::Reset, "{end:?} {head}{part:?} gave {text:?}");
                    assert!(!text.ends_with("0\r\n\r\n"), "{text:?}");
                }
            }
        }
    });
}

#[test]
fn g29_a_body_without_a_length_that_is_reset_is_visibly_cut() {
    run(async {
        let front = Front::of(cut("", "hello", Step::Reset)).await;
        let mut client = front.open().await;
        client.send(GET).await.expect("the edge reads");
        assert_eq!(client.rest().await.expect("an end").1, End::Reset);
    });
}

#[test]
fn g29_an_app_that_leaves_before_its_answer_is_a_bad_gateway() {
    run(async {
        for end in [Step::Reset, Step::Close] {
            for part in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
                let steps = vec![Step::Request, Step::Send(part.into()), end.clone()];
                let front = Front::of(Script::steps_of(steps)).await;
                let answer = front.answer("GET", GET).await;
                assert_eq!(answer.status, 502, "{end:?} {part:?}");
                assert!(
                    answer.text().contains("UpstreamClosed"),
                    "{}",
                    answer.text()
                );
                // A new connection is no race: the app saw the request and left.
                assert_eq!(front.origin.connections(), 1, "{end:?} {part:?}");
            }
        }
    });
}

#[test]
fn g29_the_race_with_an_idle_end_is_retried_for_get_alone() {
    run(async {
        for (method, status) in [
            ("GET", 200),
            ("HEAD", 200),
            ("PUT", 200),
            ("DELETE", 200),
            ("POST", 502),
            ("PATCH", 502),
            ("PURGE", 502),
        ] {
            let front = Front::of(Script::close_on_second(ok(""))).await;
            let mut client = front.open().await;
            client
                .ask("GET", "/first", &[], b"")
                .await
                .expect("an answer");
            let answer = client
                .ask(method, "/raced", &[], b"")
                .await
                .expect("an answer");
            assert_eq!(answer.status, status, "{method}");
            let raced = front.origin.text().matches("/raced").count();
            assert_eq!(raced, if status == 200 { 2 } else { 1 }, "{method}");
            let next = client
                .ask("GET", "/next", &[], b"")
                .await
                .expect("an answer");
            assert_eq!(next.status, 200, "{method}");
        }
    });
}

#[test]
fn g29_a_body_is_never_sent_twice() {
    run(async {
        let front = Front::of(Script::close_on_second(ok(""))).await;
        let mut client = front.open().await;
        client
            .ask("GET", "/first", &[], b"")
            .await
            .expect("an answer");
        let answer = client
            .ask("PUT", "/raced", &[], b"body")
            .await
            .expect("an answer");
        assert_eq!(answer.status, 502);
        assert_eq!(front.origin.text().matches("/raced").count(), 1);
    });
}

#[test]
fn g29_a_connection_that_ended_while_idle_is_not_used() {
    run(async {
        for method in ["GET", "POST"] {
            let gate = Gate::new();
            let front = Front::of(Script::fin_on_idle(ok(""), &gate)).await;
            let mut client = front.open().await;
            client
                .ask("GET", "/first", &[], b"")
                .await
                .expect("an answer");
            gate.open();
            let ended = |records: &[Record]| records[0].ended;
            front
                .origin
                .wait("the end", PATIENCE, ended)
                .await
                .expect("ended");
            let answer = client
                .ask(method, "/second", &[], b"")
                .await
                .expect("an answer");
            assert_eq!(answer.status, 200, "{method}");
            assert_eq!(front.origin.connections(), 2);
            assert_eq!(front.origin.text().matches("/second").count(), 1);
        }
    });
}

#[test]
fn g29_a_client_that_resets_is_noticed_and_the_app_is_told() {
    run(async {
        let front = Front::of(Script::silent()).await;
        let mut client = front.open().await;
        client.send(GET).await.expect("the edge reads");
        front.origin.wait_requests(1).await.expect("it came");
        let left = Instant::now();
        client.reset().expect("a socket option");
        let ended = |records: &[Record]| records[0].ended;
        front
            .origin
            .wait("the end", PATIENCE, ended)
            .await
            .expect("ended");
        assert!(
            left.elapsed() < Duration::from_secs(3),
            "{:?}",
            left.elapsed()
        );
    });
}

#[test]
fn g29_a_client_that_resets_in_the_middle_of_an_upload_ends_it() {
    run(async {
        let front = Front::of(Script::silent()).await;
        let mut client = front.open().await;
        client
            .send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .await
            .expect("the edge reads");
        let came =
            |records: &[Record]| records.iter().any(|record| record.text().contains("hello"));
        front
            .origin
            .wait("the body", PATIENCE, came)
            .await
            .expect("streamed");
        client.reset().expect("a socket option");
        let ended = |records: &[Record]| records[0].ended;
        front
            .origin
            .wait("the end", PATIENCE, ended)
            .await
            .expect("ended");
        assert_eq!(front.origin.requests(), [""; 0], "cut, not completed");
    });
}
