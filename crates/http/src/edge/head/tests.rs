use http::Version;

use super::*;

const LIMITS: Limits = Limits {
    head: 16 * 1024,
    target: 4096,
    fields: 100,
};

fn read(text: &[u8]) -> Result<Option<Head>, Reject> {
    Heads::new(LIMITS).next(&mut BytesMut::from(text))
}

fn accepted(text: &str) -> Head {
    read(text.as_bytes())
        .unwrap_or_else(|reject| panic!("{text:?}: {}", reject.reason))
        .expect(text)
}

fn status(text: &[u8]) -> u16 {
    match read(text) {
        Err(reject) => reject.kind.status,
        Ok(head) => panic!("{:?} was taken for {head:?}", String::from_utf8_lossy(text)),
    }
}

#[test]
fn reads_a_plain_request_and_leaves_the_rest() {
    let mut buffer =
        BytesMut::from(&b"\r\nGET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\nGET /next"[..]);
    let head = Heads::new(LIMITS)
        .next(&mut buffer)
        .expect("well formed")
        .expect("complete");
    assert_eq!(head.request.uri().path(), "/a");
    assert_eq!(head.request.headers().len(), 2);
    assert_eq!(head.delimiter, Delimiter::None);
    assert_eq!(&buffer[..], b"GET /next");
}

#[test]
fn every_cut_of_a_head_is_incomplete_and_not_an_error() {
    let text = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
    for end in 0..text.len() {
        assert!(read(&text[..end]).expect("fine so far").is_none(), "{end}");
    }
}

#[test]
fn targets_in_every_allowed_form() {
    assert_eq!(
        accepted("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
            .request
            .uri()
            .path(),
        "*"
    );
    let absolute = accepted("GET http://real.example/p HTTP/1.1\r\nHost: other\r\n\r\n");
    assert_eq!(absolute.request.headers()[header::HOST], "real.example");
    assert_eq!(status(b"GET * HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_eq!(status(b"GET x HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_eq!(status(b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_eq!(status(b"GET gopher://x/ HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    assert_eq!(status(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
}

#[test]
fn length_beside_chunks_is_refused_in_both_orders() {
    for text in [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(status(text.as_bytes()), 400, "{text}");
    }
}

#[test]
fn a_control_byte_anywhere_near_the_coding_is_refused() {
    for byte in (0_u8..=0x20).chain(0x7f..=0xff) {
        for at in 0..6 {
            let mut line = b"Transfer-Encoding: chunked\r\n".to_vec();
            let place = [0, 17, 18, 19, 22, 26][at];
            line.insert(place, byte);
            let mut text = b"POST / HTTP/1.1\r\nHost: x\r\n".to_vec();
            text.extend(&line);
            text.extend(b"\r\n");
            match read(&text) {
                // White space around a value is no part of it.
                Ok(Some(head)) => assert!(
                    matches!(byte, b' ' | b'\t') && at >= 2,
                    "{byte:#x} at {at}: {head:?}"
                ),
                // A CR or LF makes other lines of it, which stay incomplete or fail.
                Ok(None) => assert!(matches!(byte, b'\r' | b'\n'), "{byte:#x} at {at}"),
                Err(reject) => {
                    assert!(matches!(reject.kind.status, 400 | 501), "{byte:#x} at {at}")
                }
            }
        }
    }
}

#[test]
fn malformed_lines_are_refused() {
    for text in [
        &b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\xff: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA(: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(status(text), 400, "{:?}", String::from_utf8_lossy(text));
    }
    assert_eq!(status(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
    assert_eq!(
        status(b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"),
        417
    );
    assert_eq!(
        status(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        501
    );
}

#[test]
fn what_is_too_large_is_refused_before_it_is_complete() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(5000));
    assert_eq!(status(target.as_bytes()), 414);
    assert_eq!(status(&target.as_bytes()[..4900]), 414);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    assert_eq!(status(head.as_bytes()), 431);
    assert_eq!(status(&head.as_bytes()[..17_000]), 431);
    let fields = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "A: b\r\n".repeat(100)
    );
    assert_eq!(status(fields.as_bytes()), 431);
    let fields = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(99));
    assert_eq!(accepted(&fields).request.headers().len(), 100);
}

#[test]
fn fields_of_the_connection_end_here() {
    let head = accepted(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close, X-Drop\r\nX-Drop: 1\r\nTE: trailers\r\nKeep-Alive: timeout=5\r\n\r\n",
    );
    assert!(head.connection.close);
    assert_eq!(head.request.headers().len(), 1);
    let upgrade =
        accepted("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert!(upgrade.upgrade);
    assert_eq!(upgrade.request.headers()[header::UPGRADE], "websocket");
    let alone = accepted("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n");
    assert!(!alone.upgrade && !alone.request.headers().contains_key(header::UPGRADE));
}

/// Heads that differ from one another in one thing each, well formed and not.
const ALIKE: [&str; 22] = [
    "GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "CONNECT / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET http://y/ HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET /a#b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.1\nHost: x\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nA: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: y\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, a\r\nUpgrade: websocket\r\nA: b\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade, a\r\nUpgrade: websocket\r\nA: b\r\n\r\n",
];

#[test]
fn a_head_is_read_the_same_whatever_came_before_it() {
    let told = |read: Result<Option<Head>, Reject>| match read {
        Ok(head) => format!("{head:?}"),
        Err(reject) => format!("{reject:?}"),
    };
    for before in ALIKE {
        for text in ALIKE {
            let mut heads = Heads::new(LIMITS);
            for _ in 0..2 {
                drop(heads.next(&mut BytesMut::from(before)));
            }
            let expected = told(read(text.as_bytes()));
            for time in 0..4 {
                let mut buffer = BytesMut::from(&format!("{text}rest")[..]);
                assert_eq!(
                    told(heads.next(&mut buffer)),
                    expected,
                    "{text:?}, {time} times after {before:?}"
                );
                if expected.starts_with("Some") {
                    assert_eq!(&buffer[..], b"rest");
                }
            }
            for end in 0..text.len() {
                let cut = &text.as_bytes()[..end];
                let expected = told(read(cut));
                let mut buffer = BytesMut::from(cut);
                assert_eq!(told(heads.next(&mut buffer)), expected, "{cut:?}");
            }
        }
    }
}

#[test]
fn what_was_read_before_is_only_looked_at_when_it_comes_again() {
    let mut heads = Heads::new(LIMITS);
    let mut next = |text: &str| {
        heads
            .next(&mut BytesMut::from(text))
            .expect(text)
            .expect(text)
    };
    for target in ["/", "/", "/a", "/a", "/b?c"] {
        let head = next(&format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nCookie: a\r\n\r\n"
        ));
        assert_eq!(head.request.uri(), target);
        assert_eq!(head.request.version(), Version::HTTP_11);
    }
    assert_eq!(
        heads
            .line
            .find(b"GET /b?c HTTP/1.1\r\n")
            .map(|(_, length)| length),
        None
    );
    let block = b"Host: x\r\nCookie: a\r\n\r\n";
    assert_eq!(
        heads.fields.find(block).map(|(_, length)| length),
        Some(block.len())
    );
}

#[test]
fn sizes_are_looked_at_again_when_fields_are_not() {
    let mut heads = Heads::new(LIMITS);
    let mut next = |target: usize, value: usize| {
        let (target, value) = ("a".repeat(target), "b".repeat(value));
        let text = format!("GET /{target} HTTP/1.1\r\nHost: x\r\nA: {value}\r\n\r\n");
        heads
            .next(&mut BytesMut::from(&text[..]))
            .map_err(|reject| reject.kind.status)
    };
    for _ in 0..3 {
        assert!(next(1, 1000).is_ok());
    }
    assert_eq!(next(4096, 1000).map(drop), Err(414));
    assert!(next(4095, 1000).is_ok());
    let mut small = Heads::new(Limits {
        head: 1100,
        ..LIMITS
    });
    let text = |target: &str| {
        format!(
            "GET /{target} HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
            "b".repeat(1000)
        )
    };
    for _ in 0..3 {
        assert!(small.next(&mut BytesMut::from(&text("")[..])).is_ok());
    }
    let refused = small.next(&mut BytesMut::from(&text(&"a".repeat(100))[..]));
    assert_eq!(
        refused.map(drop).map_err(|reject| reject.kind.status),
        Err(431)
    );
}
