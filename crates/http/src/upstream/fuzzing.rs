//! A way for fuzz targets to what is private here. It exists under `cfg(fuzzing)` alone.

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use super::response;
use crate::h1::framing::Delimiter;
use crate::h1::recent::Recent;

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

/// The last head of a connection, as the pool keeps it.
#[derive(Debug, Default)]
pub struct Last(Recent<response::Head>);

/// Takes a head out of `input`, or returns `None` while it is not complete.
///
/// # Errors
/// What is wrong with it.
pub fn response_head(
    input: &mut BytesMut,
    last: &mut Last,
) -> Result<Option<ResponseHead>, &'static str> {
    let head = response::parse(input, &mut last.0)?;
    Ok(head.map(|head| ResponseHead {
        status: head.status,
        headers: head.headers,
        delimiter: head.delimiter,
        keep_alive: head.keep_alive,
    }))
}
