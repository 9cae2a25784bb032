//! An HTTP/1.1 client that sends exactly the bytes it is told to and hides nothing of the answer.
//!
//! It does not validate what it sends, never retries, and tells a clean end from a reset. [`get`] and [`send`] cover the
//! plain cases, [`Connection`] the others, [`websocket`] opens a WebSocket.

mod bulk;
mod connection;
mod response;
mod stream;
pub mod websocket;

pub use bulk::{download_sha256, sha256};
pub use connection::{Connection, End};
pub use response::{Body, Head, Response};
pub use stream::Stream;
pub(crate) use stream::linger_zero;

use crate::address::Address;

/// Sends `GET path` on a new connection and reads the answer.
///
/// # Errors
/// When there is no complete answer.
pub async fn get(address: impl Into<Address>, path: &str) -> crate::Result<Response> {
    send(address, "GET", path, &[], b"").await
}

/// Sends one request on a new connection and reads the answer; adds `Host`, `Connection: close` and `Content-Length`.
///
/// # Errors
/// When there is no complete answer.
pub async fn send(
    address: impl Into<Address>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> crate::Result<Response> {
    let mut connection = Connection::open(address).await?;
    let mut all = vec![("Connection", "close")];
    all.extend_from_slice(headers);
    connection.send(request(method, path, &all, body)).await?;
    connection.response(method).await
}

/// The bytes of a request: `Host: test` first (unless `headers` name one), then `headers`, then `Content-Length` when there
/// is a body.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text.push_str("Host: test\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
