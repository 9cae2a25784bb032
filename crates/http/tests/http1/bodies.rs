//! Bodies in every framing, both ways, and what stands around them.

use std::time::Duration;

use seaworthy_testkit::client::{Connection, End, Response};
use seaworthy_testkit::origin::{Gate, Record, Script, Step, chunked, ok};
use seaworthy_testkit::wait::PATIENCE;

use crate::front::{Front, Setup, run};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const LARGE: usize = 8 << 20;

/// Bytes without a period that a buffer's size would hide.
fn noise(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..size).map(|_| random.u8(..)).collect()
}

async fn get_from(answer: impl Into<Vec<u8>>, version: &str) -> Response {
    let front = Front::of(Script::once(answer)).await;
    front.answer("GET", GET.replace("HTTP/1.1", version)).await
}

#[test]
fn answers_keep_their_framing_where_the_client_can_read_it() {
    run(async {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let old = version == "HTTP/1.0";
            let answer = get_from(ok("hello"), version).await;
            assert_eq!(answer.head.header("content-length"), Some("5"));
            assert_eq!(answer.text(), "hello");
            for whole in [
                chunked(&["hel", "lo"]),
                b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec(),
                b"HTTP/1.0 200 OK\r\n\r\nhello".to_vec(),
            ] {
                let answer = get_from(whole, version).await;
                assert_eq!(answer.text(), "hello");
                assert_eq!(answer.head.header("content-length"), None);
                let framing = answer.head.header("transfer-encoding");
                assert_eq!(framing, (!old).then_some("chunked"));
                assert_eq!(answer.head.has_token("connection", "close"), old);
            }
        }
    });
}

#[test]
fn requests_keep_their_framing() {
    run(async {
        let front = Front::greeting().await;
        for (nth, (fields, sent, seen)) in [
            ("Content-Length: 5", "hello", "content-length: 5|hello"),
            ("Content-Length: 0", "", "content-length: 0|"),
            ("X: y", "", "content-length: 0|"),
            (
                "Transfer-Encoding: chunked",
                "5;x=y\r\nhello\r\n0\r\n\r\n",
                "transfer-encoding: chunked|5\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "Transfer-Encoding: chunked",
                "0\r\n\r\n",
                "transfer-encoding: chunked|0\r\n\r\n",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{sent}");
            assert_eq!(front.answer("POST", request).await.status, 200);
            let request = front.origin.requests().remove(nth);
            let (head, body) = request.split_once("\r\n\r\n").expect("a head");
            let (field, expected) = seen.split_once('|').expect("both");
            assert!(head.contains(field), "{fields}: {head:?}");
            assert_eq!(body, expected, "{fields}");
        }
        assert_eq!(front.answer("GET", GET).await.status, 200);
        let plain = front.origin.requests().pop().expect("the last");
        assert!(!plain.contains("content-length") && !plain.contains("transfer-encoding"));
    });
}

#[test]
fn trailers_pass_both_ways_and_framing_in_them_does_not() {
    run(async {
        let trailers = "0\r\nX-Sum: 1\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: y\r\n\
            Authorization: z\r\nX-Sum: 2\r\n\r\n";
        let answer = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n{trailers}"
        );
        let front = Front::of(Script::always(answer)).await;
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n{trailers}"
        );
        let answer = front.answer("POST", request).await;
        let expected = [("x-sum", "1"), ("x-sum", "2")];
        let found: Vec<_> = answer
            .trailers
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        assert_eq!(found, expected);
        let seen = front.origin.requests().remove(0);
        let end = "2\r\nhi\r\n0\r\nx-sum: 1\r\nx-sum: 2\r\n\r\n";
        assert!(seen.ends_with(end), "{seen:?}");
    });
}

#[test]
fn answers_without_a_body_have_none() {
    run(async {
        for (method, status, field, passed_on) in [
            ("HEAD", "200 OK", "Content-Length: 42", true),
            ("HEAD", "200 OK", "Transfer-Encoding: chunked", false),
            ("HEAD", "200 OK", "X: y", false),
            ("GET", "304 Not Modified", "Content-Length: 42", true),
            ("GET", "304 Not Modified", "X: y", false),
            ("GET", "204 No Content", "X: y", false),
            ("GET", "204 No Content", "Content-Length: 0", false),
        ] {
            let answer = format!("HTTP/1.1 {status}\r\n{field}\r\n\r\n");
            let front = Front::of(Script::always(answer)).await;
            let mut client = front.open().await;
            // Pipelined, so that a byte of a body would show as a malformed second head.
            let request = GET.replace("GET", method);
            client
                .send(request.repeat(2))
                .await
                .expect("the edge reads");
            for _ in 0..2 {
                let answer = client.response(method).await.expect("an answer");
                assert_eq!(answer.status.to_string(), status[..3]);
                let length = answer.head.header("content-length");
                assert_eq!(
                    length,
                    passed_on.then_some("42"),
                    "{method} {status} {field}"
                );
            }
            assert_eq!(front.origin.connections(), 1, "{method} {status} {field}");
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let front = Front::of(Script::by_connection(|_| {
            let mut steps = Vec::new();
            for body in ["first", "second", "third"] {
                steps.extend([Step::Request, Step::Send(ok(body))]);
            }
            steps
        }))
        .await;
        let mut client = front.open().await;
        let middle =
            "POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        let last = "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        client
            .send([GET, "\r\n", middle, last].concat())
            .await
            .expect("the edge reads");
        for body in ["first", "second", "third"] {
            let answer = client.response("GET").await.expect("an answer");
            assert_eq!(answer.text(), body);
            assert_eq!(
                answer.head.has_token("connection", "close"),
                body == "third"
            );
        }
        client.closed().await.expect("closed");
        assert_eq!(front.origin.requests().len(), 3);
    });
}

#[test]
fn http_1_0_is_kept_open_only_when_it_asks() {
    run(async {
        let front = Front::greeting().await;
        let mut client = front.open().await;
        let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
        for _ in 0..2 {
            client.send(old).await.expect("the edge reads");
            let answer = client.response("GET").await.expect("an answer");
            assert!(answer.head.has_token("connection", "keep-alive"));
        }
        client
            .send("GET / HTTP/1.0\r\n\r\n")
            .await
            .expect("the edge reads");
        let answer = client.response("GET").await.expect("an answer");
        assert!(answer.head.has_token("connection", "close"));
        client.closed().await.expect("closed");
        assert!(front.origin.text().contains("\r\nhost: localhost\r\n"));
    });
}

#[test]
fn large_bodies_arrive_byte_by_byte_the_same() {
    run(async {
        let body = noise(LARGE);
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").into_bytes();
        answer.extend_from_slice(&body);
        let front = Front::of(Script::always(answer)).await;
        let answer = front.answer("GET", GET).await;
        assert!(answer.body == body, "the answer with a length");

        let mut pieces = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let mut upload =
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for (nth, piece) in body.chunks(99_991).enumerate() {
            for wire in [&mut pieces, &mut upload] {
                let extension = if nth % 3 == 0 { ";a=b" } else { "" };
                wire.extend_from_slice(format!("{:x}{extension}\r\n", piece.len()).as_bytes());
                wire.extend_from_slice(piece);
                wire.extend_from_slice(b"\r\n");
            }
        }
        for wire in [&mut pieces, &mut upload] {
            wire.extend_from_slice(b"0\r\n\r\n");
        }
        let front = Front::of(Script::always(pieces)).await;
        let answer = front.answer("GET", upload).await;
        assert!(answer.body == body, "the answer in chunks");
        assert!(
            unchunk(&front.origin.bytes()) == body,
            "the upload in chunks"
        );

        let front = Front::greeting().await;
        let mut upload =
            format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n").into_bytes();
        upload.extend_from_slice(&body);
        assert_eq!(front.answer("PUT", upload).await.status, 200);
        assert!(
            front.origin.bytes().ends_with(&body),
            "the upload with a length"
        );
    });
}

/// The data of a chunked request, read without a line of the code under test.
fn unchunk(request: &[u8]) -> Vec<u8> {
    let end = |bytes: &[u8], mark: &[u8]| {
        bytes
            .windows(mark.len())
            .position(|found| found == mark)
            .expect("a mark")
    };
    let mut rest = &request[end(request, b"\r\n\r\n") + 4..];
    let mut body = Vec::new();
    loop {
        let line = end(rest, b"\r\n");
        let size = std::str::from_utf8(&rest[..line]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("digits");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[line + 2..][..size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

#[test]
fn an_answer_streams_while_it_is_made() {
    run(async {
        let (first, second) = (Gate::new(), Gate::new());
        let steps = vec![
            Step::Request,
            Step::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
            Step::Wait(first.clone()),
            Step::Send(b"3\r\none\r\n".to_vec()),
            Step::Wait(second.clone()),
            Step::Send(b"3\r\ntwo\r\n0\r\n\r\n".to_vec()),
        ];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client.send(GET).await.expect("the edge reads");
        assert_eq!(
            client
                .head()
                .await
                .expect("at once")
                .status()
                .expect("a status"),
            200
        );
        first.open();
        assert_eq!(client.chunk().await.expect("at once"), b"one");
        second.open();
        assert_eq!(client.chunk().await.expect("at once"), b"two");
    });
}

#[test]
fn a_request_streams_while_it_is_made_and_may_be_answered_before_its_end() {
    run(async {
        let gate = Gate::new();
        let steps = vec![
            Step::Head,
            Step::Wait(gate.clone()),
            Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n".to_vec()),
            Step::Request,
            Step::Send(b"done".to_vec()),
        ];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client
            .send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst")
            .await
            .expect("the edge reads");
        let came = |records: &[Record]| {
            records
                .iter()
                .any(|record| record.text().ends_with("first"))
        };
        front
            .origin
            .wait("the first half", PATIENCE, came)
            .await
            .expect("streamed");
        gate.open();
        assert_eq!(
            client
                .head()
                .await
                .expect("at once")
                .status()
                .expect("a status"),
            200
        );
        client.send("other").await.expect("the edge reads");
        assert_eq!(client.exactly(4).await.expect("the rest"), b"done");
        assert!(front.origin.text().ends_with("firstother"));
    });
}

/// Sends blocks until the peer takes no more for a while; returns how many bytes went.
async fn until_stuck(client: &mut Connection, most: usize) -> usize {
    let block = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < most {
        let pause = Duration::from_millis(300);
        match tokio::time::timeout(pause, client.send(&block)).await {
            Ok(done) => done.expect("open"),
            Err(_) => break,
        }
        sent += block.len();
    }
    sent
}

#[test]
fn an_app_that_does_not_read_holds_the_client_back() {
    run(async {
        const MOST: usize = 256 << 20;
        let steps = vec![Step::Deaf, Step::Hang];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {MOST}\r\n\r\n");
        client.send(head).await.expect("the edge reads");
        let sent = until_stuck(&mut client, MOST).await;
        // What two pairs of socket buffers on loopback may hold; the edge's own part is under 200 KiB.
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    });
}

#[test]
fn a_client_that_does_not_read_holds_the_app_back() {
    run(async {
        const SIZE: u64 = 128 << 20;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        let steps = vec![
            Step::Request,
            Step::Send(head.into_bytes()),
            Step::Flood(SIZE),
            Step::Close,
        ];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client.send(GET).await.expect("the edge reads");
        client.head().await.expect("an answer");
        let ended = |records: &[Record]| records[0].ended;
        let early = front
            .origin
            .wait("the end", Duration::from_millis(500), ended)
            .await;
        assert!(early.is_err(), "all of it was taken though nobody read");
        let mut left = SIZE;
        while left > 0 {
            left -= client.some().await.expect("more").len() as u64;
        }
        front
            .origin
            .wait("the end", PATIENCE, ended)
            .await
            .expect("taken at last");
    });
}

#[test]
fn informational_answers_are_passed_on_in_order() {
    run(async {
        let hints =
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nContent-Length: 3\r\n\r\n";
        let prelude = format!("HTTP/1.1 102 Processing\r\n\r\n{hints}{hints}");
        let together = [prelude.as_bytes(), &ok("done")].concat();
        let gate = Gate::new();
        let apart = vec![
            Step::Request,
            Step::Send(prelude.clone().into_bytes()),
            Step::Wait(gate.clone()),
            Step::Send(ok("done")),
        ];
        gate.open();
        for script in [Script::always(together), Script::steps_of(apart)] {
            let front = Front::of(script).await;
            let answer = front.answer("GET", GET).await;
            assert_eq!(answer.text(), "done");
            let found: Vec<_> = answer
                .informational
                .iter()
                .map(|head| head.status().expect("a status"))
                .collect();
            assert_eq!(found, [102, 103, 103]);
            let last = &answer.informational[2];
            assert_eq!(last.header("link"), Some("</a.css>; rel=preload"));
            assert_eq!(last.header("content-length"), None, "no body, no length");
        }
    });
}

#[test]
fn early_hints_come_before_the_answer_is_made() {
    run(async {
        let gate = Gate::new();
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".to_vec();
        let steps = vec![
            Step::Request,
            Step::Send(hints.clone()),
            Step::Wait(gate.clone()),
            Step::Send(ok("done")),
            Step::Repeat,
        ];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client.send(GET).await.expect("the edge reads");
        assert_eq!(
            client
                .head()
                .await
                .expect("hints")
                .status()
                .expect("a status"),
            103
        );
        gate.open();
        assert_eq!(
            client.response("GET").await.expect("an answer").text(),
            "done"
        );
        // HTTP/1.0 would take it for the answer.
        let old = front.answer("GET", "GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!((old.status, old.informational.len()), (200, 0));
    });
}

#[test]
fn an_endless_prelude_does_not_grow() {
    run(async {
        let prelude = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
        let front = Front::of(Script::always([prelude.as_bytes(), &ok("done")].concat())).await;
        let answer = front.answer("GET", GET).await;
        assert_eq!(answer.text(), "done");
        assert!(!answer.informational.is_empty());
    });
}

#[test]
fn slow_heads_and_stalled_bodies_run_out_of_time() {
    run(async {
        let setup = || Setup {
            header_timeout: Duration::from_millis(200),
            stall: Duration::from_millis(200),
            ..Setup::default()
        };
        let front = Front::with(Script::always(ok("")), setup()).await;
        let slow = front.refusal(&[b"GET / HTTP/1.1\r\nHo"]).await;
        assert_eq!((slow.status, slow.answers), (408, 1));
        let stalled = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf";
        let stalled = front.refusal(&[stalled.as_bytes()]).await;
        assert_eq!((stalled.status, stalled.answers), (408, 1));
        assert_eq!(front.origin.requests(), [""; 0]);
    });
}

#[test]
fn a_body_that_nobody_wanted_is_read_over() {
    run(async {
        let steps = vec![Step::Head, Step::Send(ok("no")), Step::Hang];
        let front = Front::of(Script::steps_of(steps)).await;
        let mut client = front.open().await;
        client
            .send("POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            .await
            .expect("the edge reads");
        assert_eq!(client.response("POST").await.expect("early").text(), "no");
        client
            .send(vec![b'x'; 100_000])
            .await
            .expect("the edge reads");
        let next = client
            .ask("GET", "/next", &[], b"")
            .await
            .expect("an answer");
        assert_eq!(next.text(), "no");
        assert_eq!(front.origin.connections(), 2);
    });
}

#[test]
fn a_refusal_in_the_middle_of_an_upload_reaches_the_client() {
    run(async {
        let answer =
            "HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";
        for end in [Step::Close, Step::Hang] {
            let steps = vec![Step::Head, Step::Send(answer.into()), end];
            let front = Front::of(Script::steps_of(steps)).await;
            let mut client = front.open().await;
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n");
            client.send(head).await.expect("the edge reads");
            // The edge stops reading at some point; what it said before must not be lost.
            client.send(vec![b'x'; LARGE]).await.ok();
            let answer = client.response("POST").await.expect("an answer");
            assert_eq!((answer.status, answer.text().as_str()), (413, "big"));
            assert!(
                answer.head.has_token("connection", "close"),
                "too much is left to be read over"
            );
        }
    });
}

#[test]
fn a_client_that_stops_reading_is_cut_in_time() {
    run(async {
        const SIZE: u64 = 128 << 20;
        let setup = Setup {
            stall: Duration::from_millis(200),
            ..Setup::default()
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        let steps = vec![
            Step::Request,
            Step::Send(head.into_bytes()),
            Step::Flood(SIZE),
            Step::Hang,
        ];
        let front = Front::with(Script::steps_of(steps), setup).await;
        let mut client = front.open().await;
        client.send(GET).await.expect("the edge reads");
        let ended = |records: &[Record]| records.first().is_some_and(|record| record.ended);
        let end = front.origin.wait("the end", PATIENCE, ended).await;
        end.expect("the app is told to stop");
        assert_eq!(client.rest().await.expect("an end").1, End::Reset);
    });
}
