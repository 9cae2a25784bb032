//! Where a request ends must be beyond doubt (G01, G02, G03).

use seaworthy_testkit::origin::{Script, ok};

use crate::front::{Front, run};

const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n";
const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

fn post(fields: &[u8]) -> Vec<u8> {
    [
        b"POST /x HTTP/1.1\r\nHost: x\r\n",
        fields,
        b"\r\n\r\n",
        HELLO.as_bytes(),
        SMUGGLED.as_bytes(),
    ]
    .concat()
}

#[test]
fn g01_length_beside_chunks_is_refused() {
    run(async {
        let front = Front::greeting().await;
        let right = HELLO.len().to_string();
        for length in ["0", "3", &right, "4096", "+15", "15, 15", ""] {
            for length in [
                format!("Content-Length: {length}"),
                format!("content-length:{length}"),
            ] {
                for chunks in [
                    "Transfer-Encoding: chunked",
                    "transfer-encoding: Chunked",
                    "Transfer-Encoding: gzip, chunked",
                    "Transfer-Encoding: identity",
                    "Transfer-Encoding:",
                ] {
                    front
                        .refuses(post(format!("{length}\r\n{chunks}").as_bytes()))
                        .await;
                    front
                        .refuses(post(
                            format!("{chunks}\r\nAccept: */*\r\n{length}").as_bytes(),
                        ))
                        .await;
                }
            }
        }
    });
}

#[test]
fn g01_more_than_one_length_is_refused() {
    run(async {
        let front = Front::greeting().await;
        for fields in [
            "Content-Length: 15\r\nContent-Length: 15",
            "Content-Length: 15\r\nContent-Length: 0",
            "Content-Length: 0\r\ncontent-length: 15",
            "Content-Length: 15, 15",
            "Content-Length: 15,0",
            "Content-Length: +15",
            "Content-Length: -15",
            "Content-Length: 1 5",
            "Content-Length: 0x0f",
            "Content-Length: 15.0",
            "Content-Length: 1_5",
            "Content-Length: 15;a",
            "Content-Length: \"15\"",
            "Content-Length:",
            "Content-Length: 18446744073709551631",
            "Content-Length: 99999999999999999999",
            "Content-Length\t: 15",
        ] {
            front.refuses(post(fields.as_bytes())).await;
        }
    });
}

#[test]
fn g01_chunks_in_http_1_0_are_refused() {
    run(async {
        let front = Front::greeting().await;
        for connection in ["", "Connection: keep-alive\r\n"] {
            let head = format!("POST / HTTP/1.0\r\n{connection}Transfer-Encoding: chunked\r\n\r\n");
            front.refuses(format!("{head}{HELLO}{SMUGGLED}")).await;
        }
    });
}

#[test]
fn g02_a_stray_byte_anywhere_in_transfer_encoding_is_refused() {
    run(async {
        let front = Front::greeting().await;
        let positions: [(&[u8], &[u8]); 6] = [
            (b"", b"Transfer-Encoding: chunked"),
            (b"Transfer", b"-Encoding: chunked"),
            (b"Transfer-Encoding", b": chunked"),
            (b"Transfer-Encoding:", b"chunked"),
            (b"Transfer-Encoding: chu", b"nked"),
            (b"Transfer-Encoding: chunked", b""),
        ];
        for (at, (before, after)) in positions.into_iter().enumerate() {
            for byte in (0x01..=0x20_u8).chain(0x7f..=0xff) {
                let around_value = at == 3 || at == 5;
                if around_value && matches!(byte, b' ' | b'\t') {
                    // Optional white space, which is no part of the value: see the next test.
                    continue;
                }
                front
                    .refuses(post(&[before, &[byte], after].concat()))
                    .await;
            }
        }
    });
}

#[test]
fn g02_optional_white_space_is_not_passed_on() {
    run(async {
        let front = Front::greeting().await;
        for (nth, field) in [
            "Transfer-Encoding: \t chunked",
            "Transfer-Encoding:chunked \t",
            "TRANSFER-ENCODING: CHUNKED",
        ]
        .into_iter()
        .enumerate()
        {
            let request = format!("POST / HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\n{HELLO}");
            assert_eq!(front.answer("POST", request).await.status, 200);
            let seen = &front.origin.requests()[nth];
            assert!(
                seen.contains("\r\ntransfer-encoding: chunked\r\n"),
                "{seen:?}"
            );
            assert_eq!(seen.to_lowercase().matches("transfer-encoding").count(), 1);
        }
    });
}

#[test]
fn g02_every_other_coding_is_refused() {
    run(async {
        let front = Front::greeting().await;
        for (value, status) in [
            ("xchunked", 400),
            ("chunkedx", 400),
            ("chunked, chunked", 400),
            ("chunked,chunked", 400),
            ("chunked, identity", 400),
            ("chunked, gzip", 400),
            ("identity, chunked", 400),
            ("identity", 400),
            ("", 400),
            ("chunked,", 400),
            (",chunked", 400),
            ("chunked;q=1", 400),
            ("\"chunked\"", 400),
            ("chunked chunked", 400),
            ("chunked\r\nTransfer-Encoding: chunked", 400),
            ("chunked\r\nTransfer-Encoding: identity", 400),
            ("identity\r\nTransfer-Encoding: chunked", 400),
            ("\r\nTransfer-Encoding: chunked", 400),
            ("gzip, chunked", 501),
            ("gzip", 501),
            ("deflate, gzip, chunked", 501),
        ] {
            let request = post(format!("Transfer-Encoding: {value}").as_bytes());
            front.refuses(&request).await;
            assert_eq!(front.refusal(&[&request]).await.status, status, "{value:?}");
        }
    });
}

/// What stands after the head of a chunked request, and is not a chunked body.
const BAD_CHUNKS: &[&[u8]] = &[
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"5_0\r\nhello\r\n0\r\n\r\n",
    b" 5\r\nhello\r\n0\r\n\r\n",
    b"\t5\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"-1\r\nhello\r\n0\r\n\r\n",
    b"10000000000000000\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b";a=b\r\nhello\r\n0\r\n\r\n",
    b"5;\0\r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"5\r\rhello\r\n0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhelloo\r\n0\r\n\r\n",
    b"5\r\nhello\r0\r\n\r\n",
    b"5\r\nhello\r\n0\n\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5\r\nhello\r\n0\r\r\n",
    b"5\r\nhello\r\n0\r\nX: a\n\r\n",
    b"5\r\nhello\r\n0\r\nX : a\r\n\r\n",
    b"5\r\nhello\r\n0\r\n X: a\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
    // The final CRLF is missing, and the next request stands where trailers would.
    b"5\r\nhello\r\n0\r\n",
];

#[test]
fn g03_malformed_chunks_are_refused_and_never_completed() {
    run(async {
        let front = Front::greeting().await;
        let head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in BAD_CHUNKS {
            let whole = [&head[..], body, SMUGGLED.as_bytes(), SMUGGLED.as_bytes()].concat();
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            for pieces in [&[&whole[..]][..], &bytes] {
                let refusal = front.refusal(pieces).await;
                let what = String::from_utf8_lossy(body);
                assert_eq!(refusal.status, 400, "{what:?}: {refusal:?}");
                assert_eq!(refusal.answers, 1, "{what:?}");
            }
        }
        assert_untouched(&front);
    });
}

#[test]
fn g03_what_follows_malformed_trailers_is_no_request() {
    run(async {
        let front = Front::greeting().await;
        let head = "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        // Well formed trailers after malformed ones: nobody may find his feet again there.
        let body = "0\r\nbad name: 1\r\n\r\nX: 1\r\n\r\n";
        let refusal = front
            .refusal(&[format!("{head}{body}{SMUGGLED}").as_bytes()])
            .await;
        assert_eq!((refusal.status, refusal.answers), (400, 1));
        assert_untouched(&front);
    });
}

#[test]
fn g03_an_end_before_the_last_chunk_is_refused() {
    run(async {
        let front = Front::greeting().await;
        for body in ["5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "5"] {
            let mut client = front.open().await;
            client
                .send(format!(
                    "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
                ))
                .await
                .expect("the edge reads");
            client.half_close().await.expect("open");
            let answer = client.response("POST").await.expect("an answer");
            assert_eq!(answer.status, 400, "{body:?}");
            client.closed().await.expect("closed");
        }
        assert_untouched(&front);
    });
}

#[test]
fn g03_an_early_answer_does_not_make_malformed_chunks_a_request() {
    run(async {
        use seaworthy_testkit::origin::Step;
        let script = Script::steps_of(vec![Step::Head, Step::Send(ok("early")), Step::Hang]);
        let front = Front::of(script).await;
        let mut client = front.open().await;
        client
            .send("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            .await
            .expect("the edge reads");
        assert_eq!(client.response("POST").await.expect("early").status, 200);
        // The rest of the body is read over; it must be read as a body.
        client
            .send(format!("0\r\nbad name: 1\r\n\r\nX: 1\r\n\r\n{SMUGGLED}"))
            .await
            .expect("the edge reads");
        client.closed().await.expect("no second answer");
        assert_untouched(&front);
    });
}

/// Nothing that was smuggled, and no complete request, came to the origin.
fn assert_untouched(front: &Front) {
    assert_eq!(front.origin.requests(), [""; 0]);
    assert!(!front.origin.text().contains("/admin"));
}
