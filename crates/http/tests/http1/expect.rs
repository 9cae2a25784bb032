//! `Expect: 100-continue` between a client and an app that may each do as they like (G06).

use std::time::{Duration, Instant};

use seaworthy_testkit::client::Connection;
use seaworthy_testkit::origin::{Script, Step, ok};

use crate::front::{Front, run};

/// What a client would send after 100; it looks like a request, so that it shows when it is taken for one.
const UNSENT: &str = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n";

fn head(expect: &str) -> String {
    format!(
        "POST /upload HTTP/1.1\r\nHost: x\r\nExpect: {expect}\r\nContent-Length: {}\r\n\r\n",
        UNSENT.len()
    )
}

async fn begin(front: &Front, head: &str) -> Connection {
    let mut client = front.open().await;
    client.send(head).await.expect("the edge reads");
    client
}

#[test]
fn g06_a_final_answer_at_once_is_passed_on_and_the_unsent_body_is_no_request() {
    run(async {
        for status in ["417 Expectation Failed", "403 Forbidden", "200 OK"] {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
            let front = Front::of(Script::steps_of(vec![
                Step::Head,
                Step::Send(answer.into_bytes()),
                Step::Hang,
            ]))
            .await;
            let started = Instant::now();
            let mut client = begin(&front, &head("100-continue")).await;
            let answer = client.response("POST").await.expect("an answer");
            assert!(
                started.elapsed() < Duration::from_millis(900),
                "not held back"
            );
            assert_eq!(answer.status.to_string(), status[..3]);
            assert!(answer.informational.is_empty(), "nobody asked for the body");
            assert!(answer.head.has_token("connection", "close"));
            // A client that did not see the answer yet sends the body after all.
            client.send(UNSENT).await.ok();
            client.closed().await.expect("no second answer");
            let ended = |records: &[seaworthy_testkit::origin::Record]| records[0].ended;
            let patience = Duration::from_secs(5);
            front
                .origin
                .wait("the end", patience, ended)
                .await
                .expect("not kept");
            assert!(!front.origin.text().contains("/admin"));
            assert_eq!(front.origin.connections(), 1);
        }
    });
}

#[test]
fn g06_a_silent_app_gets_the_body_after_a_bounded_wait() {
    run(async {
        let front = Front::of(Script::always(ok("done"))).await;
        let started = Instant::now();
        let mut client = begin(&front, &head("100-continue")).await;
        assert_eq!(
            client.head().await.expect("an answer").status().ok(),
            Some(100)
        );
        let waited = started.elapsed();
        assert!(waited < Duration::from_secs(3), "{waited:?}");
        assert!(front.origin.text().contains("\r\nexpect: 100-continue\r\n"));
        client.send(UNSENT).await.expect("the edge reads");
        assert_eq!(
            client.response("POST").await.expect("an answer").status,
            200
        );
        assert_eq!(front.origin.requests().len(), 1, "the body is a body");
    });
}

#[test]
fn g06_the_apps_100_is_passed_on_once() {
    run(async {
        let script = Script::informational("HTTP/1.1 100 Continue\r\n\r\n", ok("done"));
        let front = Front::of(script).await;
        let started = Instant::now();
        let mut client = begin(&front, &head("100-continue")).await;
        assert_eq!(
            client.head().await.expect("an answer").status().ok(),
            Some(100)
        );
        assert!(
            started.elapsed() < Duration::from_millis(900),
            "not held back"
        );
        client.send(UNSENT).await.expect("the edge reads");
        let answer = client.response("POST").await.expect("an answer");
        assert_eq!(answer.status, 200);
        assert!(answer.informational.is_empty(), "{answer:?}");
        // The connection is good for another request.
        let next = client.ask("GET", "/", &[], b"").await.expect("an answer");
        assert_eq!(next.status, 200);
    });
}

#[test]
fn g06_a_client_that_does_not_wait_is_served() {
    run(async {
        let script = Script::informational("HTTP/1.1 100 Continue\r\n\r\n", ok("done"));
        let front = Front::of(script).await;
        let mut client = begin(&front, &(head("100-continue") + UNSENT)).await;
        assert_eq!(
            client.response("POST").await.expect("an answer").status,
            200
        );
        assert_eq!(front.origin.requests().len(), 1);
    });
}

#[test]
fn g06_an_app_that_leaves_instead_of_answering_is_a_bad_gateway() {
    run(async {
        let front = Front::of(Script::steps_of(vec![Step::Head, Step::Close])).await;
        let mut client = begin(&front, &head("100-continue")).await;
        let answer = client.response("POST").await.expect("an answer");
        assert_eq!(answer.status, 502);
        client.send(UNSENT).await.ok();
        client.closed().await.expect("no second answer");
        assert!(!front.origin.text().contains("/admin"));
    });
}

#[test]
fn g06_http_1_0_never_hears_100() {
    run(async {
        let script = Script::informational("HTTP/1.1 100 Continue\r\n\r\n", ok("done"));
        let front = Front::of(script).await;
        let old = head("100-continue").replace("HTTP/1.1", "HTTP/1.0");
        let mut client = begin(&front, &(old + UNSENT)).await;
        let answer = client.response("POST").await.expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
        assert!(answer.informational.is_empty(), "{answer:?}");
        assert!(!front.origin.text().contains("expect:"));
        assert_eq!(front.origin.requests().len(), 1, "the body is a body");
    });
}

#[test]
fn g06_http_1_0_with_expect_and_no_body_yet_is_not_told_to_go_on() {
    run(async {
        let front = Front::of(Script::always(ok("done"))).await;
        let old = head("100-continue").replace("HTTP/1.1", "HTTP/1.0");
        let mut client = begin(&front, &old).await;
        front
            .origin
            .wait_connections(1)
            .await
            .expect("the head goes through");
        client.send(UNSENT).await.expect("the edge reads");
        let answer = client.response("POST").await.expect("an answer");
        assert_eq!(answer.status, 200);
        assert!(answer.informational.is_empty());
    });
}

#[test]
fn g06_any_other_expectation_fails_before_the_app_hears_of_it() {
    run(async {
        let front = Front::greeting().await;
        for expect in ["x", "", "100-continue, x", "200-ok", "100-continue;q=1"] {
            let request = head(expect) + UNSENT;
            let refusal = front.refusal(&[request.as_bytes()]).await;
            assert_eq!((refusal.status, refusal.answers), (417, 1), "{expect:?}");
        }
        assert_eq!(front.origin.connections(), 0);
    });
}

#[test]
fn g06_an_expectation_without_a_body_is_nothing_to_wait_for() {
    run(async {
        let front = Front::greeting().await;
        for length in ["", "Content-Length: 0\r\n"] {
            let request =
                format!("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{length}\r\n");
            let answer = front.answer("POST", request).await;
            assert_eq!(answer.status, 200);
            assert!(answer.informational.is_empty());
        }
    });
}
