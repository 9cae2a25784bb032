//! The fields of a head, and what they say of the message and of its connection.

use bytes::Bytes;
use http::Version;
use http::header::{self, HeaderMap, HeaderValue};
use seaworthy_core::catalogue;

use super::reject::Reject;
use crate::h1::field::{self, Connection, Place};
use crate::h1::framing::{Delimiter, Framing};
use crate::h1::spare;

/// What the fields of a head say under a version.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    /// Those that go from end to end.
    pub(super) headers: HeaderMap,
    pub(super) version: Version,
    pub(super) delimiter: Delimiter,
    pub(super) connection: Connection,
    pub(super) upgrade: bool,
    pub(super) expects_continue: bool,
}

impl Fields {
    /// Reads the fields whose places in `block` are known.
    ///
    /// # Errors
    /// When one of them is malformed, or together they are ambiguous.
    pub(super) fn read(block: &Bytes, places: &[Place], version: Version) -> Result<Self, Reject> {
        let mut headers = spare::headers(places.len() + 8);
        let mut framing = Framing::default();
        let mut hosts = 0_usize;
        let mut per_connection = false;
        let mut expects = false;
        for (name, value) in places {
            let length = name.len();
            let name = field::name(&block[name.clone()])
                .map_err(|_| Reject::malformed("malformed header name"))?;
            let value = HeaderValue::from_maybe_shared(block.slice(value.clone()))
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
                        return Err(NO_SUCH_EXPECTATION);
                    }
                    expects = true;
                    continue;
                }
                header::CONNECTION | header::UPGRADE | header::TE => per_connection = true,
                _ if length == 10 && name == "keep-alive" => per_connection = true,
                _ if length == 16 && name == "proxy-connection" => per_connection = true,
                _ => {}
            }
            headers.append(name, value);
        }
        if hosts == 0 && version == Version::HTTP_11 {
            return Err(Reject::malformed("Host is missing"));
        }
        let mut fields = Self {
            headers,
            version,
            delimiter: framing.delimiter(),
            connection: Connection::default(),
            upgrade: false,
            expects_continue: false,
        };
        // RFC 9110, section 10.1.1: an expectation of an HTTP/1.0 client is ignored, and so is one without a body.
        let bodiless = matches!(fields.delimiter, Delimiter::None | Delimiter::Length(0));
        fields.expects_continue = expects && version == Version::HTTP_11 && !bodiless;
        if per_connection {
            fields.end_of_connection_fields();
        }
        Ok(fields)
    }

    /// Takes away what concerns this connection only, except for a switch of protocols that may be asked for.
    fn end_of_connection_fields(&mut self) {
        let upgrade = self.headers.get(header::UPGRADE).cloned();
        self.connection = field::strip_hop_by_hop(&mut self.headers);
        let upgrade = upgrade.filter(|protocol| {
            self.connection.upgrade
                && self.version == Version::HTTP_11
                && self.delimiter == Delimiter::None
                && !offers_http2(protocol.as_bytes())
        });
        self.upgrade = upgrade.is_some();
        if let Some(protocol) = upgrade {
            self.headers.insert(header::UPGRADE, protocol);
        }
    }
}

const NO_SUCH_EXPECTATION: Reject = Reject {
    kind: &catalogue::EXPECTATION_FAILED,
    reason: "the only expectation is 100-continue",
};

/// A tunnel of HTTP/2 would carry requests past every layer; clients that want HTTP/2 have it without asking.
fn offers_http2(protocols: &[u8]) -> bool {
    protocols
        .split(|byte| *byte == b',')
        .map(field::trim)
        .any(|protocol| {
            protocol.eq_ignore_ascii_case(b"h2c") || protocol.eq_ignore_ascii_case(b"h2")
        })
}

/// A host and perhaps a port: nothing that could be read as user info, a path or a second field.
pub(super) fn is_host(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
}
