//! Why a head is refused, and how what a parser found wrong with one is told.

use seaworthy_core::catalogue::{self, ErrorType};

use super::Limits;
use crate::h1::framing::BadFraming;

/// Why a head is refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug)]
pub struct Reject {
    /// The entry of the catalogue.
    pub kind: &'static ErrorType,
    /// What is wrong, in a few words.
    pub reason: &'static str,
}

impl Reject {
    pub(crate) const fn head_timeout() -> Self {
        Self {
            kind: &catalogue::REQUEST_TIMEOUT,
            reason: "the head was not complete in time",
        }
    }

    pub(crate) const fn malformed(reason: &'static str) -> Self {
        Self {
            kind: &catalogue::MALFORMED_REQUEST,
            reason,
        }
    }
}

impl From<BadFraming> for Reject {
    fn from(bad: BadFraming) -> Self {
        match bad {
            BadFraming::UnsupportedCoding => Self {
                kind: &catalogue::UNSUPPORTED_TRANSFER_CODING,
                reason: "the only transfer coding understood is chunked",
            },
            BadFraming::Length => Self::malformed("Content-Length is not a single decimal number"),
            BadFraming::TwoLengths => Self::malformed("Content-Length appears more than once"),
            BadFraming::Both => Self::malformed("Content-Length and Transfer-Encoding together"),
            BadFraming::Coding => Self::malformed("Transfer-Encoding is not exactly \"chunked\""),
        }
    }
}

/// Where reading a head can stop.
pub(super) enum Parse {
    TooMany,
    Syntax(httparse::Error),
    Reject(Reject),
}

impl<T: Into<Reject>> From<T> for Parse {
    fn from(reject: T) -> Self {
        Self::Reject(reject.into())
    }
}

impl Parse {
    pub(super) fn reject(self, buffer: &[u8], limits: &Limits) -> Reject {
        match self {
            Self::TooMany => Reject {
                kind: &catalogue::HEADERS_TOO_LARGE,
                reason: "too many header fields",
            },
            Self::Reject(reject) => reject,
            // The line that failed decides: an endless target fails as a target, and is too long rather than malformed.
            Self::Syntax(_) if buffer.len() > limits.head => HEAD_TOO_LARGE,
            Self::Syntax(error) => match error {
                httparse::Error::Version if names_a_version(buffer) => Reject {
                    kind: &catalogue::UNSUPPORTED_VERSION,
                    reason: "the version is neither HTTP/1.1 nor HTTP/1.0",
                },
                httparse::Error::Version if !mentions_http(buffer) => NOT_HTTP,
                httparse::Error::Version => Reject::malformed("malformed version"),
                httparse::Error::HeaderName => Reject::malformed("malformed header name"),
                httparse::Error::HeaderValue => Reject::malformed("malformed header value"),
                httparse::Error::NewLine => Reject::malformed("malformed line end"),
                _ => Reject::malformed("malformed request line"),
            },
        }
    }
}

/// The first line ends in something else than a version: another protocol, or a broken beginning of HTTP/2.
pub(in crate::edge) const NOT_HTTP: Reject =
    Reject::malformed("the request line ends without a version of HTTP");
pub(super) const HEAD_TOO_LARGE: Reject = Reject {
    kind: &catalogue::HEADERS_TOO_LARGE,
    reason: "the header section is too large",
};
pub(super) const TARGET_TOO_LONG: Reject = Reject {
    kind: &catalogue::URI_TOO_LONG,
    reason: "the request target is too long",
};

/// Whether the first line is one of HTTP, of whichever version; otherwise it is not the version that is wrong with it.
fn names_a_version(head: &[u8]) -> bool {
    let line = head
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .find(|line| !line.is_empty());
    let mut words = line.unwrap_or_default().split(|byte| *byte == b' ');
    let version = words.nth(2).and_then(|word| word.strip_prefix(b"HTTP/"));
    words.next().is_none()
        && matches!(version, Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Whether the first line speaks of HTTP at all, however badly: by its version, or by a method that everybody knows.
fn mentions_http(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let method = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    let known: [&[u8]; 8] = [
        b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE",
    ];
    known.contains(&method)
        || line
            .windows(4)
            .any(|word| word.eq_ignore_ascii_case(b"http"))
}
