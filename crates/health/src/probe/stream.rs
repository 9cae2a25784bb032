//! Connections of probes: TCP, and TLS above it where it is wanted.
//!
//! A connection belongs to the future that made it, so that a run that is cancelled leaves nothing open. Nothing is read
//! from it without a limit.

use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Waker};

use seaworthy_core::dsn::Dsn;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader};
use tokio::net::TcpStream;

use super::tls::{self, Trust};
use super::trouble::{Trouble, unreachable};
use crate::Outcome;

/// Bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, whatever is below it.
pub(crate) type Stream = Box<dyn Duplex>;

/// One that is read in pieces.
pub(crate) type Socket = BufReader<Stream>;

/// Where a probe connects to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether TLS is wanted from the first byte on.
    pub(crate) tls: bool,
    pub(crate) trust: Trust,
}

impl Target {
    /// Where `url` leads to.
    pub(crate) fn new(url: &Dsn, port: u16, tls: bool, ca: Option<PathBuf>) -> Self {
        Self {
            host: url.host(),
            port: url.port_or(port),
            tls,
            trust: Trust {
                ca,
                ..Trust::default()
            },
        }
    }

    /// Where a URL of the web leads to, with the protocol that is spoken there over TLS.
    pub(crate) fn web(url: &Dsn, ca: Option<PathBuf>, alpn: &'static [&'static [u8]]) -> Self {
        let tls = url.scheme() == "https";
        let mut target = Self::new(url, if tls { 443 } else { 80 }, tls, ca);
        target.trust.alpn = alpn;
        target
    }

    /// Host and port as people write them.
    pub(crate) fn shown(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects.
    pub(crate) async fn connect(&self) -> Result<Stream, Outcome> {
        let stream = self.connect_plain().await?;
        if self.tls {
            return self.secure(stream).await;
        }
        Ok(Box::new(stream))
    }

    /// Connects without TLS, for protocols that begin without it.
    pub(crate) async fn connect_plain(&self) -> Result<TcpStream, Outcome> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = connecting.await.map_err(|error| unreachable(&error))?;
        // Small messages wait for each other otherwise; without it they are only slower.
        stream.set_nodelay(true).ok();
        Ok(stream)
    }

    /// Begins TLS on a connection.
    pub(crate) async fn secure(&self, stream: TcpStream) -> Result<Stream, Outcome> {
        Ok(Box::new(
            tls::secure(stream, &self.host, &self.trust).await?,
        ))
    }
}

/// Reads exactly `length` bytes into a buffer that grows with what came, not with what was announced.
pub(crate) async fn read_bytes(socket: &mut Socket, length: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::with_capacity(length.min(4096));
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    socket.take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(Trouble::ended());
    }
    Ok(bytes)
}

/// Reads a line, which comes back without its end. One that is longer than `longest` is none.
pub(crate) async fn read_line<S>(socket: &mut BufReader<S>, longest: u64) -> Result<String, Trouble>
where
    S: AsyncRead + Unpin,
{
    let mut line = Vec::new();
    let mut limited = socket.take(longest);
    limited.read_until(b'\n', &mut line).await?;
    let is_used_up = limited.limit() == 0;
    match line.strip_suffix(b"\n") {
        Some(line) => {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            String::from_utf8(line.to_owned()).map_err(|_| Trouble::Foreign)
        }
        None if is_used_up => Err(Trouble::Foreign),
        None => Err(Trouble::ended()),
    }
}

/// Hands the system some last bytes without waiting for anybody: what a run that is cut short can still do.
pub(crate) fn leave(socket: &mut Socket, last: &[u8]) {
    let mut context = Context::from_waker(Waker::noop());
    let stream = socket.get_mut();
    // Nobody could be told of a failure, and nothing could be done about it.
    drop(Pin::new(&mut *stream).poll_write(&mut context, last));
    drop(Pin::new(&mut *stream).poll_shutdown(&mut context));
}
