//! Where a request ends must be beyond doubt: hostile bytes for the binary, and what an app behind it records of them.
//!
//! Every rule has its cases in `crates/http/tests/http1`; here a few of each show that nothing between the socket and the
//! edge takes them away.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{Connection, Response};
use seaworthy_testkit::origin::{Script, ok};

use crate::front::before;

/// What would be the next request if the one before it ended early.
const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n";
const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

/// Fields that leave the end of the body in doubt (G01, G02).
const AMBIGUOUS: &[&str] = &[
    "Content-Length: 15\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 0",
    "Content-Length: 15\r\nContent-Length: 0",
    "Content-Length: 15, 15",
    "Content-Length: +15",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: chu\u{b}nked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: \"chunked\"",
];

/// Heads that are none (G04).
const MALFORMED: &[&str] = &[
    "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nX Y: 1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "GET / HTTP/1.1\nHost: x\n\n",
    "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
];

/// Chunks that are none (G03).
const CHUNKS: &[&str] = &[
    "5;\nx\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhelloX0\r\n\r\n",
    "5\nhello\n0\n\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
];

/// Sends `bytes` and gives the one answer after which the connection ends.
async fn only_answer(seaworthy: std::net::SocketAddr, bytes: &str) -> Result<Response> {
    let mut connection = Connection::open(seaworthy).await?;
    connection.send(bytes).await?;
    let answer = connection.response("POST").await?;
    let (rest, _) = connection.rest().await?;
    assert!(rest.is_empty(), "{bytes:?}: {rest:?}");
    assert!(answer.closes(), "{bytes:?}: {answer:?}");
    Ok(answer)
}

#[tokio::test]
async fn nothing_of_an_ambiguous_or_malformed_head_reaches_the_app() -> Result<()> {
    let (seaworthy, origin) = before(Script::always(ok("fine"))).await?;
    let ambiguous = AMBIGUOUS
        .iter()
        .map(|fields| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{HELLO}"));
    let hostile: Vec<_> = ambiguous
        .chain(MALFORMED.iter().map(|head| (*head).to_owned()))
        .collect();
    for bytes in &hostile {
        let answer = only_answer(seaworthy.public(), &format!("{bytes}{SMUGGLED}")).await?;
        assert!(matches!(answer.status, 400 | 501), "{bytes:?}: {answer:?}");
    }
    let got = origin.text();
    eprintln!(
        "{} hostile heads: the app got {} bytes",
        hostile.len(),
        got.len()
    );
    assert_eq!(got, "");
    Ok(())
}

#[tokio::test]
async fn malformed_chunks_are_never_completed_and_what_follows_is_no_request() -> Result<()> {
    let (seaworthy, origin) = before(Script::always(ok("fine"))).await?;
    for chunks in CHUNKS {
        let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = only_answer(seaworthy.public(), &format!("{head}{chunks}{SMUGGLED}")).await?;
        assert_eq!(answer.status, 400, "{chunks:?}: {answer:?}");
    }
    let got = origin.text();
    assert!(!got.contains("0\r\n\r\n"), "{got}");
    assert!(!got.contains("/admin"), "{got}");
    Ok(())
}
