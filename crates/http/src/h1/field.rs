//! Header fields: what may stand in one, which belong to a connection, and how they are written.

use std::ops::Range;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue, InvalidHeaderName};

/// Where the name and the value of a field stand.
pub type Place = (Range<usize>, Range<usize>);

/// Those of a head, of which few have more.
pub type Places = smallvec::SmallVec<[Place; 24]>;

/// A name of up to sixteen letters as one number, its letters in lower case.
const fn word(name: &[u8]) -> Option<u128> {
    if name.len() > 16 {
        return None;
    }
    let mut spelled = [0; 16];
    let (room, _) = spelled.split_at_mut(name.len());
    room.copy_from_slice(name);
    let spelled = u128::from_le_bytes(spelled);
    // Letters have the bit of 0x40, hyphens and digits do not; 0x20 makes a letter a small one.
    let letters = spelled & u128::from_le_bytes([0x40; 16]);
    Some(spelled | letters >> 1)
}

/// The word of a name that is short.
const fn short(name: &str) -> u128 {
    match word(name.as_bytes()) {
        Some(word) => word,
        None => panic!("a name of more than sixteen letters"),
    }
}

/// The name of a field. Names that most messages have are compared as one number, which costs a third of what reading them
/// letter by letter does.
///
/// # Errors
/// When it is no token.
pub fn name(token: &[u8]) -> Result<HeaderName, InvalidHeaderName> {
    word(token)
        .and_then(|spelled| known(token.len(), spelled))
        .map_or_else(|| HeaderName::from_bytes(token), Ok)
}

/// A name by its length, which tells most others apart at once, and its word.
fn known(length: usize, spelled: u128) -> Option<HeaderName> {
    const ACCEPT: u128 = short("accept");
    const ACCEPT_ENCODING: u128 = short("accept-encoding");
    const ACCEPT_LANGUAGE: u128 = short("accept-language");
    const AUTHORIZATION: u128 = short("authorization");
    const CACHE_CONTROL: u128 = short("cache-control");
    const CONNECTION: u128 = short("connection");
    const CONTENT_LENGTH: u128 = short("content-length");
    const CONTENT_TYPE: u128 = short("content-type");
    const COOKIE: u128 = short("cookie");
    const DATE: u128 = short("date");
    const ETAG: u128 = short("etag");
    const HOST: u128 = short("host");
    const LOCATION: u128 = short("location");
    const ORIGIN: u128 = short("origin");
    const REFERER: u128 = short("referer");
    const SERVER: u128 = short("server");
    const SET_COOKIE: u128 = short("set-cookie");
    const USER_AGENT: u128 = short("user-agent");
    const VARY: u128 = short("vary");
    Some(match (length, spelled) {
        (4, DATE) => header::DATE,
        (4, ETAG) => header::ETAG,
        (4, HOST) => header::HOST,
        (4, VARY) => header::VARY,
        (6, ACCEPT) => header::ACCEPT,
        (6, COOKIE) => header::COOKIE,
        (6, ORIGIN) => header::ORIGIN,
        (6, SERVER) => header::SERVER,
        (7, REFERER) => header::REFERER,
        (8, LOCATION) => header::LOCATION,
        (10, CONNECTION) => header::CONNECTION,
        (10, SET_COOKIE) => header::SET_COOKIE,
        (10, USER_AGENT) => header::USER_AGENT,
        (12, CONTENT_TYPE) => header::CONTENT_TYPE,
        (13, AUTHORIZATION) => header::AUTHORIZATION,
        (13, CACHE_CONTROL) => header::CACHE_CONTROL,
        (14, CONTENT_LENGTH) => header::CONTENT_LENGTH,
        (15, ACCEPT_ENCODING) => header::ACCEPT_ENCODING,
        (15, ACCEPT_LANGUAGE) => header::ACCEPT_LANGUAGE,
        _ => return None,
    })
}

/// Turns a parsed line into a field; `None` when the value holds what no value may.
pub fn parse(name: &str, value: &Bytes) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = HeaderValue::from_maybe_shared(value.clone()).ok()?;
    Some((name, value))
}

/// Appends `name: value` and the line end.
pub fn write(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Takes away spaces and tabs at both ends: what the standard calls optional white space, and not a byte more. The standard
/// library's idea of white space includes the form feed, which some parsers keep.
pub fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |at| at + 1);
    &value[start..end]
}

/// Refuses line ends other than CRLF: `httparse` takes a bare LF for one, and the app behind may not.
///
/// # Errors
/// When a CR or an LF stands alone.
pub fn only_crlf(head: &[u8]) -> Result<(), &'static str> {
    for at in memchr::memchr_iter(b'\n', head) {
        if at == 0 || head[at - 1] != b'\r' {
            return Err(BARE_LF);
        }
    }
    Ok(())
}

/// The same for a whole head whose lines `httparse` has found: a line can only end before the name of the next one, so
/// nothing else is looked at. `first` is where the first line begins, `names` where each field does.
///
/// # Errors
/// When a line, or the head, does not end in CRLF.
pub fn lines_end_in_crlf(
    head: &[u8],
    first: usize,
    names: impl Iterator<Item = usize>,
) -> Result<(), &'static str> {
    only_crlf(&head[..first])?;
    let mut ends = names.map(|name| &head[..name]);
    if ends.all(|before| before.ends_with(b"\r\n")) && head.ends_with(b"\r\n\r\n") {
        Ok(())
    } else {
        Err(BARE_LF)
    }
}

const BARE_LF: &str = "a line ends in a bare LF";

/// Whether a field may come after the body: not when it frames, routes or authenticates (RFC 9110, section 6.5.1).
pub fn may_be_trailer(name: &HeaderName) -> bool {
    ![
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::AUTHORIZATION,
        header::COOKIE,
        header::SET_COOKIE,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::EXPECT,
        header::CACHE_CONTROL,
        header::AGE,
        header::LOCATION,
        header::VARY,
    ]
    .contains(name)
}

/// What the `Connection` field says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `close` was named.
    pub close: bool,
    /// `keep-alive` was named, which only matters to HTTP/1.0.
    pub keep_alive: bool,
    /// `upgrade` was named.
    pub upgrade: bool,
}

/// Removes the fields that concern one connection only (RFC 9110, section 7.6.1), those included that `Connection` names.
///
/// `Upgrade` and `TE: trailers` are removed as well; who forwards a message says again what it offers.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) -> Connection {
    let mut connection = Connection::default();
    let mut named: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        for token in value.as_bytes().split(|byte| *byte == b',').map(trim) {
            if token.eq_ignore_ascii_case(b"close") {
                connection.close = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                connection.keep_alive = true;
            } else if token.eq_ignore_ascii_case(b"upgrade") {
                connection.upgrade = true;
            } else if let Ok(name) = HeaderName::from_bytes(token) {
                named.push(name);
            }
        }
    }
    headers.remove(header::CONNECTION);
    for name in named {
        // Framing and routing are the edge's own business: naming them must not make them disappear.
        if name != header::HOST && name != header::CONTENT_LENGTH {
            headers.remove(name);
        }
    }
    for name in [header::TRANSFER_ENCODING, header::TE, header::UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_named_by_connection_go_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret, host, content-length"),
            ("connection", "Upgrade"),
            ("x-secret", "1"),
            ("host", "a"),
            ("content-length", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("x-other", "2"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let connection = strip_hop_by_hop(&mut headers);
        assert_eq!(
            connection,
            Connection {
                close: true,
                keep_alive: false,
                upgrade: true
            }
        );
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-other"]);
    }

    #[test]
    fn a_name_is_the_same_in_whichever_way_it_is_read() {
        for known in [
            "accept",
            "Accept-Encoding",
            "ACCEPT-LANGUAGE",
            "authorization",
            "Cache-Control",
            "connection",
            "Content-Length",
            "content-type",
            "cookie",
            "Date",
            "eTag",
            "HOST",
            "location",
            "origin",
            "referer",
            "server",
            "Set-Cookie",
            "user-agent",
            "vary",
        ] {
            let name = name(known.as_bytes()).expect(known);
            assert_eq!(name.as_str(), known.to_ascii_lowercase());
        }
        // One bit away from a name that is known, in each place.
        for known in ["host", "user-agent", "content-type", "accept-encoding"] {
            for at in 0..known.len() {
                for bit in 0..8 {
                    let mut other = known.as_bytes().to_vec();
                    other[at] ^= 1 << bit;
                    let expected = HeaderName::from_bytes(&other).ok();
                    assert_eq!(name(&other).ok(), expected, "{other:?}");
                }
            }
        }
        assert!(name(b"").is_err() && name(b"host ").is_err() && name(b"hos\0").is_err());
    }

    #[test]
    fn a_bare_lf_is_found_wherever_it_stands() {
        assert!(only_crlf(b"a\r\nb\r\n").is_ok());
        for bad in [&b"\n"[..], b"a\nb\r\n", b"a\r\n\n"] {
            assert!(only_crlf(bad).is_err());
        }
    }
}
