//! The first line of a head: method, target and version.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri, Version};
use seaworthy_core::catalogue;

use super::Limits;
use super::fields::is_host;
use super::reject::{Reject, TARGET_TOO_LONG};

/// What the first line says.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) version: Version,
    /// The host that an absolute target names.
    pub(super) host: Option<HeaderValue>,
}

impl Line {
    /// # Errors
    /// When the target is too long, or none that a request to a server may have.
    pub(super) fn new(
        method: Method,
        target: &Bytes,
        version: Version,
        limits: &Limits,
    ) -> Result<Self, Reject> {
        let uri = uri(target, &method, limits)?;
        let host = uri.authority().map(|authority| {
            let host = HeaderValue::from_str(authority.as_str()).ok();
            host.filter(|host| is_host(host.as_bytes()))
                .ok_or(Reject::malformed("malformed request target"))
        });
        Ok(Self {
            method,
            uri,
            version,
            host: host.transpose()?,
        })
    }
}

/// What a first line says, with the place of its target, before anything is taken from the buffer.
pub(super) struct Ahead {
    pub(super) method: Method,
    pub(super) target: Range<usize>,
    pub(super) version: Version,
}

/// Reads `line`, which has its end. `None` when anything is unusual about it: who reads the whole head will say what.
pub(super) fn look_at(line: &[u8]) -> Option<Ahead> {
    let mut parsed = httparse::Request::new(&mut []);
    // Without fields a head is not complete; what was read of it is there.
    let Ok(httparse::Status::Partial) = parsed.parse(line) else {
        return None;
    };
    let (method, target) = (parsed.method?, parsed.path?);
    let at = target.as_ptr() as usize - line.as_ptr() as usize;
    (method.as_ptr() == line.as_ptr() && line.ends_with(b"\r\n")).then_some(())?;
    Some(Ahead {
        method: Method::from_bytes(method.as_bytes()).ok()?,
        target: at..at + target.len(),
        version: version(Some(parsed.version?)),
    })
}

/// The version by its minor number: `httparse` knows two.
pub(super) fn version(minor: Option<u8>) -> Version {
    if minor == Some(1) {
        Version::HTTP_11
    } else {
        Version::HTTP_10
    }
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
