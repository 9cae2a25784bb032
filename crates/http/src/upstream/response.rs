//! The head of the app's answer. The app is not trusted for framing: what is ambiguous is a bad gateway.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderValue};
use http::{StatusCode, Version};

use crate::h1::field::{self, Place, Places};
use crate::h1::framing::{Delimiter, Framing};
use crate::h1::recent::Recent;
use crate::h1::spare;

/// Bytes of a head.
const MAX_HEAD: usize = 128 * 1024;
/// Lines of a head.
const MAX_FIELDS: usize = 128;

/// A complete head.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) delimiter: Delimiter,
    /// The app will read another request from this connection.
    pub(super) keep_alive: bool,
}

/// Takes a head out of `input`, or returns `None` while it is not complete. `recent` holds the connection's last one: apps
/// repeat themselves, by the second at least, which is as long as their `Date` stays the same.
pub(super) fn parse(
    input: &mut BytesMut,
    recent: &mut Recent<Head>,
) -> Result<Option<Head>, &'static str> {
    if input.is_empty() {
        return Ok(None);
    }
    if let Some((head, length)) = recent.find(input) {
        let head = head.clone();
        input.advance(length);
        return Ok(Some(head));
    }
    let start = input.as_ptr() as usize;
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, input, &mut room) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if input.len() <= MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Err("the response head is too large");
        }
        Err(_) => return Err("the response head is malformed"),
    };
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default())
        .map_err(|_| "the status is no status")?;
    let version = if parsed.version == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    };
    let span = |part: &[u8]| {
        let at = part.as_ptr() as usize - start;
        at..at + part.len()
    };
    // Filled in place: moving it out of a `collect` would cost more than filling it.
    let mut lines = Places::new();
    lines
        .extend((parsed.headers.iter()).map(|line| (span(line.name.as_bytes()), span(line.value))));
    let bytes = input.split_to(length).freeze();
    let first = memchr::memchr(b'H', &bytes).unwrap_or(length);
    field::lines_end_in_crlf(&bytes, first, lines.iter().map(|(name, _)| name.start))?;
    let head = build(&bytes, &lines, status, version)?;
    recent.saw(&bytes, |own| build(&own, &lines, status, version).ok());
    Ok(Some(head))
}

fn build(
    bytes: &Bytes,
    lines: &[Place],
    status: StatusCode,
    version: Version,
) -> Result<Head, &'static str> {
    let mut headers = spare::headers(lines.len() + 4);
    let mut framing = Framing::default();
    let mut per_connection = false;
    for (name, value) in lines {
        let name = field::name(&bytes[name.clone()]).map_err(|_| "a header name is malformed")?;
        let value = HeaderValue::from_maybe_shared(bytes.slice(value.clone()))
            .map_err(|_| "a header value is malformed")?;
        match name {
            header::CONTENT_LENGTH => {
                framing
                    .content_length(value.as_bytes())
                    .map_err(|_| "the response's framing is ambiguous")?;
            }
            header::TRANSFER_ENCODING => {
                framing
                    .transfer_encoding(value.as_bytes())
                    .map_err(|_| "the response's framing is ambiguous")?;
                if version == Version::HTTP_10 {
                    return Err("chunks in an HTTP/1.0 response");
                }
                continue;
            }
            header::CONNECTION | header::UPGRADE | header::TE => per_connection = true,
            _ if name.as_str().len() == 10 && name == "keep-alive" => per_connection = true,
            _ => {}
        }
        headers.append(name, value);
    }
    let mut keep_alive = version == Version::HTTP_11;
    if per_connection {
        keep_alive = end_of_connection_fields(&mut headers, status, version);
    }
    Ok(Head {
        status,
        headers,
        delimiter: framing.delimiter(),
        keep_alive,
    })
}

/// Takes away what concerns this connection only, and says whether it can be used again.
fn end_of_connection_fields(headers: &mut HeaderMap, status: StatusCode, version: Version) -> bool {
    let upgrade = headers
        .get(header::UPGRADE)
        .filter(|_| status == StatusCode::SWITCHING_PROTOCOLS)
        .cloned();
    let connection = field::strip_hop_by_hop(headers);
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
    }
    if version == Version::HTTP_11 {
        !connection.close
    } else {
        connection.keep_alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Head>, &'static str> {
        parse(&mut BytesMut::from(text), &mut Recent::default())
    }

    #[test]
    fn reads_a_head_and_what_becomes_of_the_connection() {
        for (text, keep_alive, delimiter) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
                true,
                Delimiter::Length(5),
            ),
            (
                "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
                false,
                Delimiter::Chunked,
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", false, Delimiter::None),
            (
                "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n",
                true,
                Delimiter::Length(1),
            ),
            ("HTTP/1.1 404 \r\n\r\n", true, Delimiter::None),
        ] {
            let head = read(text).expect(text).expect(text);
            assert_eq!(
                (head.keep_alive, head.delimiter),
                (keep_alive, delimiter),
                "{text}"
            );
            assert!(!head.headers.contains_key(header::CONNECTION));
        }
    }

    #[test]
    fn a_head_is_read_the_same_whatever_came_before_it() {
        let texts = [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nserver: a\r\n\r\n",
            "HTTP/1.0 200 OK\r\ncontent-length: 5\r\nserver: a\r\n\r\n",
            "HTTP/1.1 404 OK\r\ncontent-length: 5\r\nserver: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nserver: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nserver: a\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\nserver: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nserver: a\r\n\r\n",
            "HTTP/1.1 204 \r\n\r\n",
        ];
        for before in texts {
            for text in texts {
                let mut recent = Recent::default();
                for _ in 0..2 {
                    drop(parse(&mut BytesMut::from(before), &mut recent));
                }
                for _ in 0..4 {
                    let mut input = BytesMut::from(&format!("{text}body")[..]);
                    let head = parse(&mut input, &mut recent);
                    assert_eq!(
                        format!("{head:?}"),
                        format!("{:?}", read(text)),
                        "{text:?} after {before:?}"
                    );
                    assert!(head.is_err() || input == "body");
                }
                for end in 0..text.len() {
                    let head = parse(&mut BytesMut::from(&text[..end]), &mut recent);
                    assert_eq!(format!("{head:?}"), format!("{:?}", read(&text[..end])));
                }
            }
        }
    }

    #[test]
    fn an_incomplete_head_is_waited_for() {
        assert!(
            read("HTTP/1.1 200 OK\r\ncontent-le")
                .expect("fine so far")
                .is_none()
        );
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n",
            "HTTP/1.1 200 OK\nx: a\n\n",
            "HTTP/1.1 200 OK\r\nx : a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: a\x00\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "220 mail.example ESMTP\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
