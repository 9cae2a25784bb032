//! The same bytes for the edge's parser and for hyper's server: what both accept they must read alike, and what the edge
//! accepts hyper must accept as well. There is no exception so far; one that comes needs its reason here.
//!
//! Two parsers that read a head differently are how requests are smuggled, and hyper is in half of what stands behind us.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use seaworthy_http::edge::{self, Limits};
use seaworthy_http::h1::decoder::{Decoder, Step};
use tokio::io::AsyncWriteExt;

const CASES: usize = 20_000;
const LIMITS: Limits = Limits {
    head: 64 * 1024,
    target: 16 * 1024,
    fields: 100,
};

/// A whole message as one of the two read it; what is malformed or incomplete in its body was not accepted.
#[derive(Debug)]
struct Read {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn ours(bytes: &[u8]) -> Option<Read> {
    let mut buffer = BytesMut::from(bytes);
    let head = edge::Heads::new(LIMITS).next(&mut buffer).ok()??;
    let mut decoder = Decoder::for_request(head.delimiter);
    let mut body = Vec::new();
    while let Step::Frame(frame) = decoder.step(&mut buffer, true).ok()? {
        body.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    Some(Read {
        method: head.request.method().clone(),
        target: head.request.uri().to_string(),
        headers: head.request.headers().clone(),
        body,
    })
}

/// The first request that hyper hands to its service.
async fn hypers(bytes: &[u8]) -> Option<Read> {
    let (mut client, server) = tokio::io::duplex(256 * 1024);
    client.write_all(bytes).await.expect("room");
    client.shutdown().await.expect("open");
    let found = Arc::new(Mutex::new(None));
    let service = service_fn(|request: Request<Incoming>| {
        let found = found.clone();
        async move {
            let (parts, body) = request.into_parts();
            let read = body.collect().await.ok().map(|body| Read {
                method: parts.method,
                target: parts.uri.to_string(),
                headers: parts.headers,
                body: body.to_bytes().to_vec(),
            });
            found.lock().expect("one thread").get_or_insert(read);
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    // How it ends is of no interest: the service has seen the request by then, or there was none.
    drop(connection.await);
    found.lock().expect("one thread").take().flatten()
}

const METHODS: &[&str] = &[
    "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PURGE", "get", "M-SEARCH",
];
const TARGETS: &[&str] = &[
    "/",
    "/a/b?c=d",
    "//a",
    "/%2e%2e/x",
    "*",
    "http://x/p",
    "http://y:80",
    "http://x?q",
    "/a b",
    "/a#b",
    "/\u{e9}",
    "x",
    "/?",
    "/a;b=c",
    "/[x]",
    "/{x}",
    "/a|b",
    "/\"",
    "https://z/",
    "/a\\b",
    "x:80",
    "/^`",
];
const FIELDS: &[&str] = &[
    "Accept: */*",
    "A: b",
    "a:b",
    "A:",
    "A: \t b \t",
    "B: \u{e9}",
    "Cookie: a=b; c=d",
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: 05",
    "content-length:3",
    "Content-Length: 5, 5",
    "Content-Length: +5",
    "Transfer-Encoding: chunked",
    "transfer-encoding:Chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Connection: close",
    "Connection: keep-alive, X-Hop",
    "X-Hop: 1",
    "TE: trailers",
    "Keep-Alive: timeout=5",
    "Upgrade: websocket",
    "Expect: 100-continue",
    "X-Forwarded-For: 1.2.3.4",
    "A : b",
    " A: b",
    "A\t: b",
    "(: b",
];
const BODIES: &[&str] = &[
    "",
    "hello",
    "hel",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    "0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "05\r\nhello\r\n00\r\n\r\n",
];
/// Bytes that parsers disagree about.
const BYTES: &[u8] = b"\0\t\n\x0b\x0c\r !\"#%',/0:;=?@A[\\]^`{|}~\x7f\x80\xa0\xff";

fn choose<'a>(random: &mut Rng, from: &[&'a str]) -> &'a str {
    from[random.usize(..from.len())]
}

/// A request that is nearly right: put together from likely parts, then a byte or a line changed in two of three.
fn generate(random: &mut Rng) -> Vec<u8> {
    let version = if random.u8(..8) == 0 {
        "HTTP/1.0"
    } else {
        "HTTP/1.1"
    };
    let target = if random.bool() {
        "/"
    } else {
        choose(random, TARGETS)
    };
    let mut lines = vec![format!("{} {target} {version}", choose(random, METHODS))];
    if random.u8(..16) > 0 {
        lines.push("Host: x".to_owned());
    }
    for _ in 0..random.usize(..4) {
        // The first seven are harmless; the rest is what this is about.
        let harmless = random.bool();
        let from = if harmless { &FIELDS[..7] } else { FIELDS };
        lines.push(choose(random, from).to_owned());
    }
    let body = choose(random, BODIES);
    let framing = match body.len() {
        0 => None,
        _ if random.u8(..4) == 0 => None,
        _ if body.contains("\r\n") => Some("Transfer-Encoding: chunked".to_owned()),
        length => Some(format!("Content-Length: {length}")),
    };
    lines.extend(framing);
    let mut bytes = format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes();
    if random.u8(..3) > 0 {
        mutate(&mut bytes, random);
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Rng) {
    let at = random.usize(..bytes.len());
    let byte = BYTES[random.usize(..BYTES.len())];
    match random.u8(..5) {
        0 => bytes.insert(at, byte),
        1 => bytes[at] = byte,
        2 => drop(bytes.remove(at)),
        3 => bytes[at] ^= 0x20,
        _ => {
            let end = (at + random.usize(1..20)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = random.usize(..bytes.len());
            bytes.splice(to..to, part);
        }
    }
}

/// The fields that the edge keeps to itself, taken out of what hyper saw, so that the rest can be compared.
fn end_to_end(read: &Read) -> HeaderMap {
    let mut headers = read.headers.clone();
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    let always = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "expect",
    ];
    for name in named.into_iter().chain(always.map(HeaderName::from_static)) {
        headers.remove(name);
    }
    headers
}

fn compare(ours: &Read, hypers: &Read, bytes: &[u8]) {
    let what = String::from_utf8_lossy(bytes);
    assert_eq!(ours.method, hypers.method, "{what:?}");
    assert_eq!(ours.target, hypers.target, "{what:?}");
    let mut kept = ours.headers.clone();
    let mut expected = end_to_end(hypers);
    // An offer to switch is the one field of a connection that goes on, when it is one.
    kept.remove(header::UPGRADE);
    if ours.target.contains("://") {
        // The target's host has taken the field's place.
        kept.remove(header::HOST);
        expected.remove(header::HOST);
    }
    let listed = |headers: &HeaderMap| -> BTreeMap<String, Vec<HeaderValue>> {
        let values = |name: &HeaderName| headers.get_all(name).iter().cloned().collect();
        headers
            .keys()
            .map(|name| (name.to_string(), values(name)))
            .collect()
    };
    assert_eq!(listed(&kept), listed(&expected), "{what:?}");
    assert_eq!(ours.body, hypers.body, "{what:?}");
}

#[tokio::test]
async fn what_both_accept_they_read_alike() {
    let mut random = Rng::with_seed(0x5ea);
    let (mut both, mut neither, mut only_hyper, mut bodies) = (0, 0, 0, 0);
    let cases = seaworthy_testkit::scale::count(CASES);
    for _ in 0..cases {
        let bytes = generate(&mut random);
        match (ours(&bytes), hypers(&bytes).await) {
            (Some(ours), Some(hypers)) => {
                compare(&ours, &hypers, &bytes);
                both += 1;
                bodies += usize::from(!ours.body.is_empty());
            }
            (Some(ours), None) => {
                panic!(
                    "only the edge accepts {:?}: {ours:?}",
                    String::from_utf8_lossy(&bytes)
                );
            }
            (None, Some(_)) => only_hyper += 1,
            (None, None) => neither += 1,
        }
    }
    let counts =
        format!("both {both} (with a body {bodies}), neither {neither}, only hyper {only_hyper}");
    println!("{counts}");
    // A corpus that is nearly all malformed, or nearly all plain, would show nothing.
    assert!(
        both > cases / 5 && bodies > cases / 20 && neither > cases / 8,
        "{counts}"
    );
    // Among others a length beside chunks, and two lengths that agree.
    assert!(only_hyper > cases / 50, "{counts}");
}
