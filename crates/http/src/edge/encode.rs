//! The head of a response, as bytes.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap};
use http::{StatusCode, Version};

use crate::h1::field;
use crate::h1::output::Coding;
use crate::overlay::Lines;
use crate::timer::{Due, SweepTimer};

/// How the connection goes on after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It stays open, as HTTP/1.1 does by default.
    KeepAlive,
    /// It stays open, which an HTTP/1.0 client has to be told.
    KeepAliveOld,
    /// It closes.
    Close,
    /// It speaks another protocol.
    Upgrade,
}

/// Appends status line and fields, `laid` over those of `headers`. Framing fields are written here and nowhere else.
pub(super) fn write_head(
    out: &mut Vec<u8>,
    status: StatusCode,
    headers: &HeaderMap,
    laid: &mut Lines,
    framing: Option<Coding>,
    after: After,
    timer: &SweepTimer,
) {
    out.reserve(512);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut dated = false;
    for (name, value) in headers {
        match *name {
            // A length that matters is in `framing`; one of a bodiless answer describes what is left out, and stays.
            header::CONTENT_LENGTH if framing.is_some() || never_has_body(status) => continue,
            header::TRANSFER_ENCODING | header::CONNECTION => continue,
            header::DATE => dated = true,
            _ if laid.covers(name) => continue,
            _ => {}
        }
        field::write(out, name, value);
    }
    laid.write(out);
    match framing {
        Some(Coding::Length(length)) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Some(Coding::Chunked) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Some(Coding::Raw) | None => {}
    }
    if !dated && !status.is_informational() {
        write_date(out, timer);
    }
    out.extend_from_slice(match after {
        After::KeepAlive => b"\r\n",
        After::KeepAliveOld => b"connection: keep-alive\r\n\r\n",
        After::Close => b"connection: close\r\n\r\n",
        After::Upgrade => b"connection: upgrade\r\n\r\n",
    });
}

/// Appends an informational answer.
pub(super) fn write_interim(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        if name != header::CONTENT_LENGTH {
            field::write(out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110, section 8.6: such an answer has no length, not even one of zero, and some clients would wait for one.
fn never_has_body(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT
}

/// Status and framing for a version that has no chunks.
pub(super) fn coding_for(version: Version, length: Option<u64>) -> Coding {
    match length {
        Some(length) => Coding::Length(length),
        None if version == Version::HTTP_11 => Coding::Chunked,
        None => Coding::Raw,
    }
}

/// Appends `Date`, which is formatted once a second and not once a response. Whether the second is over is read off the
/// timer: the clock would cost more than the rest of the line, and a date may be two ticks behind.
fn write_date(out: &mut Vec<u8>, timer: &SweepTimer) {
    struct Cached {
        until: Due,
        line: String,
    }
    thread_local! {
        static DATE: RefCell<Option<Cached>> = const { RefCell::new(None) };
    }
    DATE.with_borrow_mut(|cached| {
        let stale = |cached: &mut Cached| timer.is_past(cached.until);
        if cached.as_mut().is_none_or(stale) {
            let wall = SystemTime::now();
            let into_second = wall
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.subsec_nanos());
            let left = Duration::from_nanos(1_000_000_000 - u64::from(into_second));
            *cached = Some(Cached {
                until: timer.due(left),
                line: format!("date: {}\r\n", httpdate::fmt_http_date(wall)),
            });
        }
        if let Some(cached) = cached {
            out.extend_from_slice(cached.line.as_bytes());
        }
    });
}
