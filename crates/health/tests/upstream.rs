//! The check `upstream` against documents of every shape, and in a circle.

mod looking;

use std::sync::Arc;
use std::time::SystemTime;

use looking::{faults, once, probe, said};
use seaworthy_core::health::{App, State, Status, Weight};
use seaworthy_health::probe::upstream::{Depth, Upstream};
use seaworthy_health::{Ask, Board, Case, Component, Format, Gate, Report, Snapshot, View};
use seaworthy_testkit::address;
use seaworthy_testkit::origin::{Origin, Script, ok};
use serde_json::json;

fn upstream(url: impl std::fmt::Display, propagate: &str) -> Upstream {
    probe(json!({"url": url.to_string(), "propagate": propagate}))
}

/// A service whose only component is in `state`, with this weight.
fn service(state: State, weight: Weight) -> Board {
    let word = seaworthy_core::health::Words::default().status(state, weight);
    let mut db = Component::pending("db", "tcp", weight, word);
    db.state = state;
    let mut snapshot = Snapshot::new("shop".to_owned(), None, SystemTime::now());
    snapshot.gate = Gate::Open;
    snapshot.app = App::Running;
    snapshot.report = Arc::new(Report::new(vec![Arc::new(db)]));
    Board::new(snapshot)
}

/// Serves what the board answers to `ask`.
async fn serving(board: &Board, ask: Ask<'_>) -> (Origin, String) {
    let answer = board.answer(ask, SystemTime::now()).expect("a document");
    let head = format!(
        "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        answer.code,
        answer.media_type,
        answer.body.len()
    );
    serve([head.as_bytes(), &answer.body].concat()).await
}

async fn serve(answer: Vec<u8>) -> (Origin, String) {
    let origin = Origin::tcp(Script::once(answer)).await.expect("an origin");
    let url = format!("http://{}/health/ready", origin.address());
    (origin, url)
}

#[tokio::test]
async fn every_format_is_understood() {
    for (board, state) in [
        (service(State::Ok, Weight::Critical), State::Ok),
        (service(State::Warn, Weight::Critical), State::Warn),
        (service(State::Fail, Weight::Optional), State::Warn),
        (service(State::Fail, Weight::Critical), State::Fail),
    ] {
        for format in Format::ALL {
            for case in [Case::Lower, Case::Upper] {
                for (view, draft) in [
                    (View::Ready, false),
                    (View::Detailed, false),
                    (View::Ready, true),
                ] {
                    let ask = Ask {
                        view,
                        format,
                        case,
                        draft,
                        ..Ask::default()
                    };
                    let (_origin, url) = serving(&board, ask).await;
                    let outcome = once(&upstream(&url, "same")).await;
                    assert_eq!(outcome.state, state, "{ask:?}: {outcome:?}");
                    let via = url
                        .strip_prefix("http://")
                        .and_then(|url| url.split('/').next());
                    assert_eq!(outcome.metadata["via"].as_str(), via);
                }
            }
        }
    }
    let live = Ask {
        view: View::Live,
        format: Format::Soma,
        ..Ask::default()
    };
    let (_origin, url) = serving(&service(State::Ok, Weight::Critical), live).await;
    assert_eq!(once(&upstream(&url, "same")).await.state, State::Ok);
}

#[tokio::test]
async fn a_broken_service_may_degrade_us_only() {
    let board = service(State::Fail, Weight::Critical);
    let (_origin, url) = serving(&board, Ask::view(View::Ready)).await;
    let outcome = once(&upstream(&url, "degraded")).await;
    assert_eq!(outcome.state, State::Warn);
    assert_eq!(outcome.message, "it is not ready (unhealthy)");
    assert_eq!(outcome.metadata["upstream_status"], "unhealthy");
    // Silence is no word of its own.
    let nobody = upstream(format!("http://{}/", address::free().unwrap()), "degraded");
    assert_eq!(once(&nobody).await.state, State::Fail);
}

#[tokio::test]
async fn a_closed_gate_that_is_called_degraded_stays_closed() {
    let body = r#"{"status":"DEGRADED"}"#;
    let length = body.len();
    let answer = format!("HTTP/1.1 503 X\r\nContent-Length: {length}\r\n\r\n{body}");
    let (_origin, url) = serve(answer.into_bytes()).await;
    let outcome = once(&upstream(&url, "same")).await;
    assert_eq!(
        (outcome.state, outcome.word),
        (State::Fail, Some(Status::Degraded))
    );
}

#[tokio::test]
async fn what_is_no_health_is_said_to_be_none() {
    let not_found = b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n".to_vec();
    let silent = "its answer does not tell its health";
    for (answer, message) in [
        (ok("<html>hunter2</html>"), silent),
        (ok(r#"{"status":"hunter2"}"#), silent),
        (ok(r#"{"status":7}"#), silent),
        (ok("[]"), silent),
        (
            ok(&format!("[{}]", "1,".repeat(50_000))),
            "its answer is longer than 64 KiB",
        ),
        (not_found, "Status code: 404"),
    ] {
        let (_origin, url) = serve(answer).await;
        assert_eq!(
            said(&upstream(&url, "same")).await,
            (State::Fail, message.to_owned())
        );
    }
    assert_eq!(
        faults(&upstream("http://169.254.169.254/", "same")),
        ["url"]
    );
}

#[tokio::test]
async fn questions_say_how_deep_they_are_and_end_at_five() {
    let (origin, url) = serve(ok(r#"{"status":"healthy"}"#)).await;
    let depth = Depth::default();
    let check = upstream(&url, "same").asking(&depth);
    assert_eq!(check.run().await.state, State::Ok);
    depth.asked("4");
    assert_eq!(check.run().await.state, State::Ok);
    depth.asked("5");
    let outcome = check.run().await;
    assert_eq!(outcome.state, State::Warn);
    assert!(outcome.message.starts_with("not asked"), "{outcome:?}");
    let asked: String = origin
        .records()
        .iter()
        .map(|record| record.text())
        .collect();
    let lower = asked.to_ascii_lowercase();
    assert!(
        lower.contains("x-health-depth: 1\r\n") && lower.contains("x-health-depth: 5\r\n"),
        "{asked}"
    );
    assert_eq!(origin.connections(), 2);
}
