//! The head of a request: from bytes to `http::Request`, or to a reason why not.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap};
use http::{Method, Request, Uri, Version};
use seaworthy_core::catalogue::{self, ErrorType};

use crate::h1::field::{self, Connection};
use crate::h1::framing::{BadFraming, Delimiter, Framing};
use crate::h1::spare;

/// Bounds of a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole head.
    pub head: usize,
    /// Bytes of the request target.
    pub target: usize,
    /// Header lines, at most 256.
    pub fields: usize,
}

/// The most header lines that [`Limits::fields`] may ask for: they are parsed on the stack.
const MOST_FIELDS: usize = 256;
/// Nearly every request has fewer lines than this, and room for fewer is cheaper.
const FEW_FIELDS: usize = 48;

/// A complete head.
#[derive(Debug)]
pub struct Head {
    /// Method, target, version and end-to-end header fields.
    pub request: Request<()>,
    /// Where the body ends.
    pub delimiter: Delimiter,
    /// What the client said about the connection.
    pub connection: Connection,
    /// The protocol the client wants to switch to.
    pub upgrade: bool,
    /// The client waits for `100 Continue`.
    pub expects_continue: bool,
}

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

/// Takes one head out of `buffer`, or returns `None` while it is not complete.
///
/// # Errors
/// When it is malformed, ambiguous or larger than `limits`.
pub fn parse(buffer: &mut BytesMut, limits: &Limits) -> Result<Option<Head>, Reject> {
    if buffer.starts_with(b"\r\n") {
        // One empty line before a request is what RFC 9112, section 2.2, asks to forgive.
        buffer.advance(2);
    }
    if buffer.is_empty() {
        return Ok(None);
    }
    let parsed = match parse_fields::<FEW_FIELDS>(buffer, limits) {
        Err(Parse::TooMany) if limits.fields > FEW_FIELDS => {
            parse_fields::<MOST_FIELDS>(buffer, limits)
        }
        other => other,
    };
    parsed.map_err(|error| error.reject(buffer, limits))
}

enum Parse {
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
    fn reject(self, buffer: &BytesMut, limits: &Limits) -> Reject {
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
pub(super) const NOT_HTTP: Reject =
    Reject::malformed("the request line ends without a version of HTTP");
const HEAD_TOO_LARGE: Reject = Reject {
    kind: &catalogue::HEADERS_TOO_LARGE,
    reason: "the header section is too large",
};
const TARGET_TOO_LONG: Reject = Reject {
    kind: &catalogue::URI_TOO_LONG,
    reason: "the request target is too long",
};

/// Where the fields of a head stand in its bytes.
struct Line {
    name: (usize, usize),
    value: (usize, usize),
}

/// Filled in place: moving it out of a `collect` would cost more than filling it.
type Lines = smallvec::SmallVec<[Line; 24]>;

fn parse_fields<const ROOM: usize>(
    buffer: &mut BytesMut,
    limits: &Limits,
) -> Result<Option<Head>, Parse> {
    let mut room = [const { MaybeUninit::uninit() }; ROOM];
    let start = buffer.as_ptr() as usize;
    let span = |part: &[u8]| (part.as_ptr() as usize - start, part.len());
    let most = ROOM.min(limits.fields);
    let mut parsed = httparse::Request::new(&mut []);
    let length = match parsed.parse_with_uninit_headers(buffer, &mut room[..most]) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => {
            // Until it has ended, the target is what came less a method and a space.
            let target = parsed
                .path
                .map_or(buffer.len().saturating_sub(32), str::len);
            return if target > limits.target {
                Err(TARGET_TOO_LONG.into())
            } else if buffer.len() > limits.head {
                Err(HEAD_TOO_LARGE.into())
            } else {
                Ok(None)
            };
        }
        Err(httparse::Error::TooManyHeaders) => return Err(Parse::TooMany),
        Err(error) => return Err(Parse::Syntax(error)),
    };
    if length > limits.head {
        return Err(HEAD_TOO_LARGE.into());
    }
    let method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes())
        .map_err(|_| Reject::malformed("malformed method"))?;
    let target = span(parsed.path.unwrap_or_default().as_bytes());
    let version = if parsed.version == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    let first = span(parsed.method.unwrap_or_default().as_bytes()).0;
    let mut lines = Lines::new();
    lines.extend(parsed.headers.iter().map(|line| Line {
        name: span(line.name.as_bytes()),
        value: span(line.value),
    }));
    let bytes = buffer.split_to(length).freeze();
    let names = lines.iter().map(|line| line.name.0);
    field::lines_end_in_crlf(&bytes, first, names).map_err(Reject::malformed)?;
    let uri = uri(&bytes.slice(target.0..target.0 + target.1), &method, limits)?;
    build(&bytes, &lines, method, uri, version)
        .map(Some)
        .map_err(Parse::Reject)
}

fn uri(target: &Bytes, method: &Method, limits: &Limits) -> Result<Uri, Reject> {
    if target.len() > limits.target {
        return Err(TARGET_TOO_LONG);
    }
    if memchr::memchr(b'#', target).is_some() {
        return Err(Reject::malformed("a fragment in the request target"));
    }
    let uri = Uri::from_maybe_shared(target.clone())
        .map_err(|_| Reject::malformed("malformed request target"))?;
    let absolute = uri
        .scheme()
        .is_some_and(|scheme| scheme.as_str() == "http" || scheme.as_str() == "https");
    let origin = target.starts_with(b"/");
    let asterisk = target.as_ref() == b"*" && method == Method::OPTIONS;
    if method == Method::CONNECT {
        return Err(Reject {
            kind: &catalogue::METHOD_NOT_ALLOWED,
            reason: "CONNECT is for forward proxies",
        });
    }
    if origin || asterisk || absolute {
        Ok(uri)
    } else {
        Err(Reject::malformed("malformed request target"))
    }
}

fn build(
    bytes: &Bytes,
    lines: &[Line],
    method: Method,
    uri: Uri,
    version: Version,
) -> Result<Head, Reject> {
    let mut headers = spare::headers(lines.len() + 8);
    let mut framing = Framing::default();
    let mut hosts = 0_usize;
    let mut per_connection = false;
    let mut expects = false;
    for line in lines {
        let name = &bytes[line.name.0..line.name.0 + line.name.1];
        let value = bytes.slice(line.value.0..line.value.0 + line.value.1);
        let name = field::name(name).map_err(|_| Reject::malformed("malformed header name"))?;
        let value = http::HeaderValue::from_maybe_shared(value)
            .map_err(|_| Reject::malformed("malformed header value"))?;
        match name {
            header::CONTENT_LENGTH => framing.content_length(value.as_bytes())?,
            header::TRANSFER_ENCODING => {
                if version == Version::HTTP_10 {
                    return Err(Reject::malformed(
                        "Transfer-Encoding in an HTTP/1.0 request",
                    ));
                }
                framing.transfer_encoding(value.as_bytes())?;
                continue;
            }
            header::HOST => {
                hosts += 1;
                if hosts > 1 || !is_host(value.as_bytes()) {
                    return Err(Reject::malformed("Host is not a single host name"));
                }
            }
            header::EXPECT => {
                if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
                    return Err(Reject {
                        kind: &catalogue::EXPECTATION_FAILED,
                        reason: "the only expectation is 100-continue",
                    });
                }
                expects = true;
                continue;
            }
            header::CONNECTION | header::UPGRADE | header::TE => per_connection = true,
            _ if line.name.1 == 10 && name == "keep-alive" => per_connection = true,
            _ if line.name.1 == 16 && name == "proxy-connection" => per_connection = true,
            _ => {}
        }
        headers.append(name, value);
    }
    if hosts == 0 && version == Version::HTTP_11 {
        return Err(Reject::malformed("Host is missing"));
    }
    finish(
        headers,
        framing,
        per_connection,
        expects,
        (method, uri, version),
    )
}

fn finish(
    mut headers: HeaderMap,
    framing: Framing,
    per_connection: bool,
    expects: bool,
    (method, uri, version): (Method, Uri, Version),
) -> Result<Head, Reject> {
    let mut connection = Connection::default();
    let mut upgrade = None;
    if per_connection {
        upgrade = headers.get(header::UPGRADE).cloned();
        connection = field::strip_hop_by_hop(&mut headers);
    }
    let delimiter = framing.delimiter();
    let upgrade = upgrade.filter(|protocol: &http::HeaderValue| {
        connection.upgrade
            && version == Version::HTTP_11
            && delimiter == Delimiter::None
            && !offers_http2(protocol.as_bytes())
    });
    let upgrades = upgrade.is_some();
    if let Some(protocol) = upgrade {
        headers.insert(header::UPGRADE, protocol);
    }
    // RFC 9110, section 10.1.1: an expectation of an HTTP/1.0 client is ignored, and so is one without a body.
    let has_body = !matches!(delimiter, Delimiter::None | Delimiter::Length(0));
    let expects_continue = expects && version == Version::HTTP_11 && has_body;
    if let Some(authority) = uri.authority() {
        // RFC 9112, section 3.2.2: the host of an absolute target wins over the field.
        let host = http::HeaderValue::from_str(authority.as_str())
            .map_err(|_| Reject::malformed("malformed request target"))?;
        if !is_host(host.as_bytes()) {
            return Err(Reject::malformed("malformed request target"));
        }
        headers.insert(header::HOST, host);
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    *request.extensions_mut() = spare::extensions();
    Ok(Head {
        request,
        delimiter,
        connection,
        upgrade: upgrades,
        expects_continue,
    })
}

/// A tunnel of HTTP/2 would carry requests past every layer; clients that want HTTP/2 have it without asking.
fn offers_http2(protocols: &[u8]) -> bool {
    protocols
        .split(|byte| *byte == b',')
        .map(field::trim)
        .any(|protocol| {
            protocol.eq_ignore_ascii_case(b"h2c") || protocol.eq_ignore_ascii_case(b"h2")
        })
}

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

/// A host and perhaps a port: nothing that could be read as user info, a path or a second field.
fn is_host(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
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

#[cfg(test)]
mod tests;
