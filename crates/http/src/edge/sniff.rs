//! Tells HTTP/2 with prior knowledge from HTTP/1 by the first bytes.

use bytes::BytesMut;

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1, or something that will be refused as such.
    Http1,
    /// HTTP/2.
    Http2,
    /// Too few bytes to tell.
    Unknown,
}

/// Looks at the first bytes of a connection.
pub fn sniff(first: &BytesMut) -> Protocol {
    let seen = first.len().min(PREFACE.len());
    if first[..seen] != PREFACE[..seen] {
        Protocol::Http1
    } else if seen == PREFACE.len() {
        Protocol::Http2
    } else {
        Protocol::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_told_from_a_method_that_begins_like_it() {
        for (first, protocol) in [
            (&b""[..], Protocol::Unknown),
            (b"P", Protocol::Unknown),
            (b"POST / HTTP/1.1", Protocol::Http1),
            (b"PRI * HTTP/2.0\r\n\r\n", Protocol::Unknown),
            (PREFACE, Protocol::Http2),
            (b"GET", Protocol::Http1),
        ] {
            assert_eq!(sniff(&BytesMut::from(first)), protocol, "{first:?}");
        }
    }
}
