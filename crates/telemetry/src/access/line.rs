//! How one access line is spelled.
//!
//! Written by hand into the worker's buffer: no formatter, no allocation, each number through `itoa`, each literal as long as
//! it can be. The keys are always the same and in the same order; what is not known is `null`. What strangers choose is
//! escaped and bounded, so the longest line is known beforehand.

use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use seaworthy_core::digits::{self, Dotted};
use seaworthy_core::exchange::Finished;
use seaworthy_core::names::event;

use super::Shown;
use crate::json;
use crate::log::Format;

const PATH_LIMIT: usize = 2048;
const AGENT_LIMIT: usize = 512;
const METHOD_LIMIT: usize = 32;
const ID_LIMIT: usize = 128;
/// Templates come from the configuration, but a line has to fit all the same.
const ROUTE_LIMIT: usize = 1024;

/// More than any line can take: every bounded text with each byte escaped to six, and room for the rest.
pub(super) const LONGEST: usize =
    6 * (PATH_LIMIT + AGENT_LIMIT + METHOD_LIMIT + ID_LIMIT + ROUTE_LIMIT + SERVICE_LIMIT) + 1024;
const SERVICE_LIMIT: usize = 128;

/// Which spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Json,
    Text,
}

impl Shape {
    pub(super) fn new(format: Format) -> Self {
        if format.is_json() {
            Self::Json
        } else {
            Self::Text
        }
    }
}

/// The parts of a line that are the same for many requests, escaped once.
#[derive(Debug)]
pub(super) struct Prefix {
    shape: Shape,
    /// From behind the level to the method.
    before_method: Box<[u8]>,
    /// From behind the path to the status, for each route.
    routes: Box<[Box<[u8]>]>,
    shown: Option<Shown>,
}

impl Prefix {
    pub(super) fn new(shape: Shape, service: &str, routes: &[String]) -> Self {
        Self {
            shape,
            before_method: around(
                format!(r#"","event":"{}","service":""#, event::REQUEST).as_bytes(),
                service,
                SERVICE_LIMIT,
                br#"","method":""#,
            ),
            routes: spelled(routes),
            shown: None,
        }
    }

    /// The same with these routes.
    pub(super) fn with_routes(&self, routes: &[String]) -> Self {
        Self {
            shape: self.shape,
            before_method: self.before_method.clone(),
            routes: spelled(routes),
            shown: self.shown,
        }
    }

    /// Writes addresses as `shown` says.
    pub(super) fn showing(mut self, shown: Option<Shown>) -> Self {
        self.shown = shown;
        self
    }

    fn route(&self, done: &Finished<'_>) -> &[u8] {
        self.routes
            .get(done.route.index())
            .unwrap_or(&self.routes[0])
    }
}

fn spelled(routes: &[String]) -> Box<[Box<[u8]>]> {
    let unmatched = ["unmatched".to_owned()];
    let routes = if routes.is_empty() {
        &unmatched
    } else {
        routes
    };
    let spelled = routes
        .iter()
        .map(|route| around(br#"","route":""#, route, ROUTE_LIMIT, br#"","status":"#));
    spelled.collect()
}

fn around(before: &[u8], text: &str, limit: usize, after: &[u8]) -> Box<[u8]> {
    let mut out = before.to_vec();
    json::push_bounded(&mut out, text.as_bytes(), limit);
    out.extend_from_slice(after);
    out.into_boxed_slice()
}

/// Appends the line of one request.
pub(super) fn write(out: &mut Vec<u8>, prefix: &Prefix, stamp: &[u8; 24], done: &Finished<'_>) {
    match prefix.shape {
        Shape::Json => write_json(out, prefix, stamp, done),
        Shape::Text => write_text(out, stamp, done),
    }
}

fn write_json(out: &mut Vec<u8>, prefix: &Prefix, stamp: &[u8; 24], done: &Finished<'_>) {
    out.extend_from_slice(br#"{"ts":""#);
    out.extend_from_slice(stamp);
    out.extend_from_slice(if done.status >= 500 || done.cut {
        br#"","level":"warn"#
    } else {
        br#"","level":"info"#
    });
    out.extend_from_slice(&prefix.before_method);
    json::push_bounded(out, done.method.as_bytes(), METHOD_LIMIT);
    out.extend_from_slice(br#"","path":""#);
    json::push_bounded(out, done.path.as_bytes(), PATH_LIMIT);
    out.extend_from_slice(prefix.route(done));
    number(out, u64::from(done.status));
    out.extend_from_slice(br#","duration_ms":"#);
    milliseconds(out, done.duration);
    out.extend_from_slice(br#","first_byte_ms":"#);
    match done.first_byte {
        Some(first_byte) => milliseconds(out, first_byte),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(br#","bytes_in":"#);
    number(out, done.bytes_in);
    out.extend_from_slice(br#","bytes_out":"#);
    number(out, done.bytes_out);
    write_identity(out, prefix, done);
    out.extend_from_slice(br#","error":"#);
    match done.error {
        Some(error) => quoted(out, error.as_bytes(), ID_LIMIT),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(match (done.cut, done.view) {
        (false, false) => br#","cut":false,"version":""#.as_slice(),
        (true, false) => br#","cut":true,"version":""#,
        (false, true) => br#","cut":false,"view":true,"version":""#,
        (true, true) => br#","cut":true,"view":true,"version":""#,
    });
    out.extend_from_slice(done.version.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// Who asked, and under which ids.
fn write_identity(out: &mut Vec<u8>, prefix: &Prefix, done: &Finished<'_>) {
    match done.client {
        Some(ip) => {
            out.extend_from_slice(br#","client":""#);
            match prefix.shown {
                None => address(out, ip),
                Some(Shown(shown)) => json::push_bounded(out, shown(ip).as_bytes(), 64),
            }
            out.extend_from_slice(br#"","request_id":""#);
        }
        None => out.extend_from_slice(br#","client":null,"request_id":""#),
    }
    json::push_bounded(out, done.request_id, ID_LIMIT);
    match done.trace {
        Some(trace) => {
            out.extend_from_slice(br#"","trace_id":""#);
            out.extend_from_slice(&trace.trace_id_hex());
            out.extend_from_slice(br#"","span_id":""#);
            out.extend_from_slice(&trace.span_id_hex());
            out.extend_from_slice(br#"","user_agent":"#);
        }
        None => {
            out.extend_from_slice(br#"","trace_id":null,"span_id":null,"user_agent":"#);
        }
    }
    match done.user_agent {
        Some(agent) => quoted(out, agent, AGENT_LIMIT),
        None => out.extend_from_slice(b"null"),
    }
}

/// For a terminal: `10:00:00Z GET /path 200 1.234ms`, and what was wrong.
fn write_text(out: &mut Vec<u8>, stamp: &[u8; 24], done: &Finished<'_>) {
    out.extend_from_slice(&stamp[11..19]);
    out.extend_from_slice(b"Z ");
    json::push_printable(out, done.method.as_bytes(), METHOD_LIMIT);
    out.push(b' ');
    json::push_printable(out, done.path.as_bytes(), PATH_LIMIT);
    out.push(b' ');
    number(out, u64::from(done.status));
    out.push(b' ');
    milliseconds(out, done.duration);
    out.extend_from_slice(b"ms");
    if let Some(error) = done.error {
        out.push(b' ');
        json::push_printable(out, error.as_bytes(), ID_LIMIT);
    }
    if done.cut {
        out.extend_from_slice(b" cut");
    }
    out.push(b'\n');
}

fn quoted(out: &mut Vec<u8>, text: &[u8], limit: usize) {
    out.push(b'"');
    json::push_bounded(out, text, limit);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Milliseconds with three decimals.
fn milliseconds(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.subsec_micros();
    let whole = duration.as_secs().saturating_mul(1000);
    number(out, whole.saturating_add(u64::from(micros / 1000)));
    let [a, b, c] = digits::three(micros % 1000);
    out.extend_from_slice(&[b'.', a, b, c]);
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(Dotted::new(ip).as_bytes()),
        // Shortening an IPv6 address is worth the formatter; writing to memory cannot fail.
        IpAddr::V6(ip) => write!(out, "{ip}").expect("a vector takes every write"),
    }
}
