//! The head of a request to the app, as bytes.
//!
//! Fields that only a proxy may set are written here, last, and never copied from the client: who the client is, over what
//! it came, under which id. Writing them straight into the buffer costs a tenth of putting them into the header map first.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Version};
use seaworthy_core::digits::Dotted;

use crate::exchange::Exchange;
use crate::h1::field;
use crate::h1::output::Coding;

/// Appends the whole head. `body` is how the body will be written, `None` when there is none.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    parts: &Parts,
    exchange: &Exchange,
    body: Option<Coding>,
    via: &str,
) {
    out.reserve(1024);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    if target.starts_with('?') {
        // An absolute target may have a query and no path; in the form that servers read, there is always one.
        out.extend_from_slice(b"/");
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    // One pass: every look into the map by name would cost as much as writing a field.
    let mut host = None;
    let mut passed_by = false;
    for (name, value) in &parts.headers {
        if *name == header::HOST {
            host = Some(value);
        } else if is_ours(name, exchange) {
            passed_by |= *name == header::VIA;
            continue;
        }
        field::write(out, name, value);
    }
    if host.is_none() {
        out.extend_from_slice(b"host: localhost\r\n");
    }
    match body {
        Some(Coding::Length(length)) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Some(Coding::Chunked) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Some(Coding::Raw) | None => {}
    }
    if exchange.upgrade {
        out.extend_from_slice(b"connection: upgrade\r\n");
    }
    if exchange.expects_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    write_identity(out, &parts.headers, host, exchange);
    write_via(out, parts, passed_by, via);
    out.extend_from_slice(b"\r\n");
}

/// How the body of a request is written: with a length when it is known, in chunks otherwise.
pub(super) fn coding(parts: &Parts, exchange: &Exchange, length: Option<u64>) -> Option<Coding> {
    if exchange.upgrade {
        return None;
    }
    match length {
        Some(0) => {
            // RFC 9110, section 8.6: methods that anticipate a body say that there is none, others need not.
            matches!(parts.method, Method::POST | Method::PUT | Method::PATCH)
                .then_some(Coding::Length(0))
        }
        Some(length) => Some(Coding::Length(length)),
        None => Some(Coding::Chunked),
    }
}

/// Whether a field of the client's must not be copied: framing, and what Seaworthy vouches for.
///
/// Underscores count as hyphens: WSGI and CGI cannot tell them apart, so `X_Forwarded_For` would speak for us. For the same
/// reason gunicorn's own names for the path are not taken from clients.
fn is_ours(name: &HeaderName, exchange: &Exchange) -> bool {
    match *name {
        header::CONTENT_LENGTH
        | header::TRANSFER_ENCODING
        | header::CONNECTION
        | header::EXPECT
        | header::VIA
        | header::FORWARDED => return true,
        _ => {}
    }
    let bytes = name.as_str().as_bytes();
    let same = |ours: &str| {
        let given = bytes.get(..ours.len()).unwrap_or_default();
        given.len() == ours.len()
            && given
                .iter()
                .zip(ours.as_bytes())
                .all(|(given, own)| given == own || (*given == b'_' && *own == b'-'))
    };
    match bytes.first() {
        Some(b'x') if same("x-forwarded-") => {
            let written = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
            !exchange.peer_trusted
                || bytes.contains(&b'_')
                || written
                    .iter()
                    .any(|ours| ours.len() == bytes.len() && same(ours))
        }
        Some(b'x') if bytes.len() == 9 => same("x-real-ip") && !exchange.peer_trusted,
        Some(b'x') if bytes.len() == 12 => exchange.request_id.is_some() && same("x-request-id"),
        Some(b't') if bytes.len() == 17 => same("transfer-encoding"),
        Some(b't') => bytes == b"traceparent" && exchange.trace.is_some(),
        // `Proxy` becomes HTTP_PROXY in CGI, which sends the app's own calls to whom the client names.
        Some(b's' | b'p' | b'r') => {
            matches!(
                bytes,
                b"script_name" | b"path_info" | b"remote_user" | b"proxy"
            )
        }
        Some(b'c') => bytes.len() == 14 && same("content-length"),
        _ => false,
    }
}

fn write_identity(
    out: &mut Vec<u8>,
    headers: &HeaderMap,
    host: Option<&HeaderValue>,
    exchange: &Exchange,
) {
    let peer = exchange.peer.map(|peer| peer.ip().to_canonical());
    let trusted = exchange.peer_trusted;
    out.extend_from_slice(b"x-forwarded-for: ");
    if trusted {
        write_vouched(out, headers, exchange.vouched_hops, peer.is_some());
    }
    if let Some(peer) = peer {
        write_ip(out, peer);
    }
    out.extend_from_slice(b"\r\n");
    let given = |name: &str| {
        let field = if trusted { headers.get(name) } else { None };
        field.map(HeaderValue::as_bytes)
    };
    out.extend_from_slice(b"x-forwarded-proto: ");
    let own_scheme: &[u8] = if exchange.secure { b"https" } else { b"http" };
    out.extend_from_slice(given("x-forwarded-proto").unwrap_or(own_scheme));
    if let Some(host) = given("x-forwarded-host").or_else(|| host.map(HeaderValue::as_bytes)) {
        out.extend_from_slice(b"\r\nx-forwarded-host: ");
        out.extend_from_slice(host);
    }
    if let Some(forwarded) = given("forwarded") {
        out.extend_from_slice(b"\r\nforwarded: ");
        out.extend_from_slice(forwarded);
        if let Some(peer) = peer {
            out.extend_from_slice(if peer.is_ipv6() {
                b", for=\"["
            } else {
                b", for=\""
            });
            write_ip(out, peer);
            out.extend_from_slice(if peer.is_ipv6() { b"]\"" } else { b"\"" });
        }
    }
    if let Some(id) = &exchange.request_id {
        out.extend_from_slice(b"\r\nx-request-id: ");
        out.extend_from_slice(id.as_bytes());
    }
    if let Some(trace) = &exchange.trace {
        out.extend_from_slice(b"\r\ntraceparent: ");
        out.extend_from_slice(&trace.write());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends those entries of `X-Forwarded-For` that trusted proxies vouch for: the rest is a claim of the client's.
fn write_vouched(out: &mut Vec<u8>, headers: &HeaderMap, hops: usize, more: bool) {
    let entries = || {
        let lines = headers.get_all("x-forwarded-for").into_iter();
        lines
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(field::trim)
    };
    let skip = entries().count().saturating_sub(hops);
    let mut first = true;
    for entry in entries().skip(skip) {
        if !first {
            out.extend_from_slice(b", ");
        }
        first = false;
        out.extend_from_slice(entry);
    }
    if !first && more {
        out.extend_from_slice(b", ");
    }
}

fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(Dotted::new(ip).as_bytes()),
        IpAddr::V6(ip) => {
            use std::io::Write;
            write!(out, "{ip}").expect("a buffer that grows takes everything");
        }
    }
}

fn write_via(out: &mut Vec<u8>, parts: &Parts, passed_by: bool, via: &str) {
    out.extend_from_slice(b"via: ");
    if passed_by {
        for earlier in parts.headers.get_all(header::VIA) {
            out.extend_from_slice(earlier.as_bytes());
            out.extend_from_slice(b", ");
        }
    }
    out.extend_from_slice(match parts.version {
        Version::HTTP_2 => b"2 ",
        Version::HTTP_10 => b"1.0 ",
        _ => b"1.1 ",
    });
    out.extend_from_slice(via.as_bytes());
    out.extend_from_slice(b"\r\n");
}
