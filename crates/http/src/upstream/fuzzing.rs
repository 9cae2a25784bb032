//! A way for fuzz targets to what is private here. It exists under `cfg(fuzzing)` alone.

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use super::response;
use crate::h1::framing::Delimiter;

/// What a head of the app's answer says.
#[derive(Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status.
    pub status: StatusCode,
    /// The fields that go on to the client.
    pub headers: HeaderMap,
    /// Where the body ends.
    pub delimiter: Delimiter,
    /// Whether the connection may be kept.
    pub keep_alive: bool,
}

/// Takes a head out of `input`, or returns `None` while it is not complete.
///
/// # Errors
/// What is wrong with it.
pub fn response_head(input: &mut BytesMut) -> Result<Option<ResponseHead>, &'static str> {
    let head = response::parse(input)?;
    Ok(head.map(|head| ResponseHead {
        status: head.status,
        headers: head.headers,
        delimiter: head.delimiter,
        keep_alive: head.keep_alive,
    }))
}
