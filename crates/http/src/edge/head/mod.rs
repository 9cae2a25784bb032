//! The head of a request: from bytes to `http::Request`, or to a reason why not.
//!
//! Clients repeat themselves, so the first line and the fields of the last head are kept with what they were read as
//! ([`Recent`]); a head whose fields come again is put together from them.

mod fields;
mod line;
mod reject;

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header;
use http::{Method, Request};

use self::fields::Fields;
use self::line::{Ahead, Line};
pub(super) use self::reject::NOT_HTTP;
pub use self::reject::Reject;
use self::reject::{HEAD_TOO_LARGE, Parse, TARGET_TOO_LONG};
use crate::h1::field::{self, Connection, Places};
use crate::h1::framing::Delimiter;
use crate::h1::recent::Recent;
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

impl Head {
    fn new(line: Line, mut fields: Fields) -> Self {
        if let Some(host) = line.host {
            // RFC 9112, section 3.2.2: the host of an absolute target wins over the field.
            fields.headers.insert(header::HOST, host);
        }
        let mut request = Request::new(());
        *request.method_mut() = line.method;
        *request.uri_mut() = line.uri;
        *request.version_mut() = line.version;
        *request.headers_mut() = fields.headers;
        *request.extensions_mut() = spare::extensions();
        Self {
            request,
            delimiter: fields.delimiter,
            connection: fields.connection,
            upgrade: fields.upgrade,
            expects_continue: fields.expects_continue,
        }
    }
}

/// Reads the heads that come in on one connection.
#[derive(Debug)]
pub struct Heads {
    limits: Limits,
    line: Recent<Line>,
    fields: Recent<Fields>,
}

impl Heads {
    /// Of a connection of which nothing is known yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            line: Recent::default(),
            fields: Recent::default(),
        }
    }

    /// Takes one head out of `buffer`, or returns `None` while it is not complete.
    ///
    /// # Errors
    /// When it is malformed, ambiguous or larger than the limits.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Reject> {
        if buffer.starts_with(b"\r\n") {
            // One empty line before a request is what RFC 9112, section 2.2, asks to forgive.
            buffer.advance(2);
        }
        if buffer.is_empty() {
            return Ok(None);
        }
        if let Some(again) = self.again(buffer) {
            return again;
        }
        let read = match self.read::<FEW_FIELDS>(buffer) {
            Err(Parse::TooMany) if self.limits.fields > FEW_FIELDS => {
                self.read::<MOST_FIELDS>(buffer)
            }
            other => other,
        };
        read.map_err(|error| error.reject(buffer, &self.limits))
    }

    /// Takes a head whose fields are those of the last one. `None` leaves the buffer as it is: somebody has to read it.
    fn again(&mut self, buffer: &mut BytesMut) -> Option<Result<Option<Head>, Reject>> {
        let last = self.fields.last()?;
        let known = self.line.find(buffer);
        let first = match known {
            Some((_, length)) => length,
            None => memchr::memchr(b'\n', buffer)? + 1,
        };
        let (_, rest) = self.fields.find(&buffer[first..])?;
        let length = first + rest;
        if length > self.limits.head {
            return None;
        }
        if let Some((line, _)) = known {
            if line.version != last.version {
                return None;
            }
            let head = Head::new(line.clone(), last.clone());
            buffer.advance(length);
            return Some(Ok(Some(head)));
        }
        let ahead = line::look_at(&buffer[..first])?;
        if ahead.version != last.version {
            return None;
        }
        let fields = last.clone();
        let bytes = buffer.split_to(length).freeze().slice(..first);
        let line = self.first_line(&bytes, ahead);
        Some(line.map(|line| Some(Head::new(line, fields))))
    }

    fn read<const ROOM: usize>(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Parse> {
        let mut room = [const { MaybeUninit::uninit() }; ROOM];
        let start = buffer.as_ptr() as usize;
        let most = ROOM.min(self.limits.fields);
        let mut parsed = httparse::Request::new(&mut []);
        let length = match parsed.parse_with_uninit_headers(buffer, &mut room[..most]) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => {
                // Until it has ended, the target is what came less a method and a space.
                let target = (parsed.path).map_or(buffer.len().saturating_sub(32), str::len);
                return if target > self.limits.target {
                    Err(TARGET_TOO_LONG.into())
                } else if buffer.len() > self.limits.head {
                    Err(HEAD_TOO_LARGE.into())
                } else {
                    Ok(None)
                };
            }
            Err(httparse::Error::TooManyHeaders) => return Err(Parse::TooMany),
            Err(error) => return Err(Parse::Syntax(error)),
        };
        if length > self.limits.head {
            return Err(HEAD_TOO_LARGE.into());
        }
        let at = |part: &[u8]| part.as_ptr() as usize - start;
        let method = parsed.method.unwrap_or_default().as_bytes();
        let target = parsed.path.unwrap_or_default().as_bytes();
        let first = at(method);
        let ahead = Ahead {
            method: Method::from_bytes(method)
                .map_err(|_| Reject::malformed("malformed method"))?,
            target: at(target) - first..at(target) - first + target.len(),
            version: line::version(parsed.version),
        };
        // The fields begin with the first of them; without any, the empty line is left.
        let begin = parsed
            .headers
            .first()
            .map_or(length - 2, |line| at(line.name.as_bytes()));
        let span = |part: &[u8]| at(part) - begin..at(part) - begin + part.len();
        // Filled in place: moving it out of a `collect` would cost more than filling it.
        let mut places = Places::new();
        places.extend(
            parsed
                .headers
                .iter()
                .map(|line| (span(line.name.as_bytes()), span(line.value))),
        );
        let bytes = buffer.split_to(length).freeze();
        let names = places.iter().map(|(name, _)| begin + name.start);
        field::lines_end_in_crlf(&bytes, first, names).map_err(Reject::malformed)?;
        let version = ahead.version;
        let line = self.first_line(&bytes.slice(first..begin), ahead)?;
        let block = bytes.slice(begin..);
        let fields = Fields::read(&block, &places, version)?;
        self.fields
            .saw(&block, |own| Fields::read(&own, &places, version).ok());
        Ok(Some(Head::new(line, fields)))
    }

    /// Takes a first line and remembers it. `bytes` are those of the line.
    fn first_line(&mut self, bytes: &Bytes, ahead: Ahead) -> Result<Line, Reject> {
        let Ahead {
            method,
            target,
            version,
        } = ahead;
        let limits = self.limits;
        let line = Line::new(method, &bytes.slice(target.clone()), version, &limits)?;
        self.line.saw(bytes, |own| {
            Line::new(line.method.clone(), &own.slice(target), version, &limits).ok()
        });
        Ok(line)
    }
}

#[cfg(test)]
mod tests;
