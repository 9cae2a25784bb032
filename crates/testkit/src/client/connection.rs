//! One connection, byte by byte.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BytesMut};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Body, Head, Response, Stream};
use crate::address::Address;
use crate::wait::{self, PATIENCE};

/// How a peer ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With FIN: everything it sent has arrived.
    Clean,
    /// With RST, or with a truncated TLS stream.
    Reset,
}

/// A connection that sends what it is given and reads message by message.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    buffer: BytesMut,
    patience: Duration,
}

impl Connection {
    /// Connects to `address`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(address: impl Into<Address>) -> crate::Result<Self> {
        let address = address.into();
        let connect = async { Ok(Stream::connect(&address).await?) };
        let stream = wait::within("a connection", PATIENCE, connect).await;
        Ok(Self::over(
            stream.with_context(|| format!("connecting to {address}"))?,
        ))
    }

    /// Connects with TLS.
    ///
    /// # Errors
    /// When nobody listens there or the handshake fails.
    pub async fn open_tls(
        address: std::net::SocketAddr,
        config: Arc<ClientConfig>,
    ) -> crate::Result<Self> {
        let connect = Stream::connect_tls(address, config);
        Ok(Self::over(
            wait::within("a TLS connection", PATIENCE, connect).await?,
        ))
    }

    /// Speaks over a connected stream.
    #[must_use]
    pub fn over(stream: Stream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            patience: PATIENCE,
        }
    }

    /// How long each following call may take.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The stream, for what only it knows.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Gives up the connection for the stream and what was read but not used.
    #[must_use]
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.buffer)
    }

    /// Sends exactly these bytes.
    ///
    /// # Errors
    /// When the peer closed or does not read in time.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> crate::Result<()> {
        let write = async {
            self.stream.write_all(bytes.as_ref()).await?;
            Ok(self.stream.flush().await?)
        };
        wait::within("the peer to read", self.patience, write).await
    }

    /// Sends a request in one piece and reads the answer; the connection stays open.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> crate::Result<Response> {
        self.send(super::request(method, path, headers, body))
            .await?;
        self.response(method).await
    }

    /// Ends the sending side; reading goes on.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn half_close(&mut self) -> crate::Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Closes with RST.
    ///
    /// # Errors
    /// When the socket refuses it.
    pub fn reset(self) -> crate::Result<()> {
        Ok(self.stream.reset()?)
    }

    /// Reads the answer to a request with `method`, 1xx heads before it included.
    ///
    /// # Errors
    /// When it is malformed, cut short, or late.
    pub async fn response(&mut self, method: &str) -> crate::Result<Response> {
        let mut informational = Vec::new();
        let head = loop {
            let head = self.head().await?;
            match head.status()? {
                100 | 102..=199 => informational.push(head),
                _ => break head,
            }
        };
        let mut response = Response {
            status: head.status()?,
            informational,
            body: Vec::new(),
            chunks: Vec::new(),
            trailers: Vec::new(),
            head,
        };
        match response.head.body(method)? {
            Body::None => {}
            Body::Length(length) => response.body = self.exactly(usize::try_from(length)?).await?,
            Body::Chunked => self.chunked(&mut response).await?,
            Body::Close => {
                let (body, end) = self.rest().await?;
                ensure!(
                    end == End::Clean,
                    "reset after {} bytes of a body",
                    body.len()
                );
                response.body = body;
            }
        }
        Ok(response)
    }

    /// Reads one head, 1xx or final.
    ///
    /// # Errors
    /// When the connection ends before it, or it is malformed.
    pub async fn head(&mut self) -> crate::Result<Head> {
        let bytes = self.until(b"\r\n\r\n").await.context("reading a head")?;
        Head::parse(&bytes)
    }

    /// Reads the next chunk of a chunked body: its data, empty for the last one (whose trailers stay unread).
    ///
    /// # Errors
    /// When the framing is wrong or the connection ends.
    pub async fn chunk(&mut self) -> crate::Result<Vec<u8>> {
        let line = self.until(b"\r\n").await.context("reading a chunk size")?;
        let line = std::str::from_utf8(&line)?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16);
        let size = size.with_context(|| format!("chunk size {line:?}"))?;
        let data = self.exactly(size).await?;
        if size > 0 {
            let end = self.exactly(2).await?;
            ensure!(end == b"\r\n", "chunk data followed by {end:?}");
        }
        Ok(data)
    }

    async fn chunked(&mut self, response: &mut Response) -> crate::Result<()> {
        loop {
            let data = self.chunk().await?;
            if data.is_empty() {
                break;
            }
            response.chunks.push(data.len());
            response.body.extend_from_slice(&data);
        }
        let mut trailers = b"trailers\r\n".to_vec();
        loop {
            let line = self.until(b"\r\n").await.context("reading trailers")?;
            if line.is_empty() {
                response.trailers = Head::parse(&trailers)?.headers;
                return Ok(());
            }
            trailers.extend_from_slice(&line);
            trailers.extend_from_slice(b"\r\n");
        }
    }

    /// Reads exactly `count` bytes.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn exactly(&mut self, count: usize) -> crate::Result<Vec<u8>> {
        while self.buffer.len() < count {
            let have = self.buffer.len();
            let end = self.fill().await?;
            ensure!(end.is_none(), "{end:?} end after {have} of {count} bytes");
        }
        Ok(self.buffer.split_to(count).to_vec())
    }

    /// Reads up to `mark` and returns what stands before it.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn until(&mut self, mark: &[u8]) -> crate::Result<Vec<u8>> {
        loop {
            if let Some(at) = self
                .buffer
                .windows(mark.len())
                .position(|window| window == mark)
            {
                let found = self.buffer.split_to(at).to_vec();
                self.buffer.advance(mark.len());
                return Ok(found);
            }
            if let Some(end) = self.fill().await? {
                bail!(
                    "{end:?} end after {:?}",
                    String::from_utf8_lossy(&self.buffer)
                );
            }
        }
    }

    /// Reads whatever has come or comes next; empty at the end.
    ///
    /// # Errors
    /// When nothing comes in time.
    pub async fn some(&mut self) -> crate::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill().await?;
        }
        Ok(self.buffer.split().to_vec())
    }

    /// Reads everything to the end of the connection and says how it ended.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn rest(&mut self) -> crate::Result<(Vec<u8>, End)> {
        loop {
            if let Some(end) = self.fill().await.context("reading to the end")? {
                return Ok((self.buffer.split().to_vec(), end));
            }
        }
    }

    /// Waits for the end and demands that nothing more came before it.
    ///
    /// # Errors
    /// When bytes came, or no end in time.
    pub async fn closed(&mut self) -> crate::Result<End> {
        let (bytes, end) = self.rest().await?;
        ensure!(
            bytes.is_empty(),
            "{:?} before the end",
            String::from_utf8_lossy(&bytes)
        );
        Ok(end)
    }

    /// Reads once; says how the connection ended, if it did.
    async fn fill(&mut self) -> crate::Result<Option<End>> {
        let read =
            tokio::time::timeout(self.patience, self.stream.read_buf(&mut self.buffer)).await;
        match read {
            Err(_) => bail!("nothing came within {:?}", self.patience),
            Ok(Ok(0)) => Ok(Some(End::Clean)),
            Ok(Ok(_)) => Ok(None),
            Ok(Err(error)) => match error.kind() {
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                    Ok(Some(End::Reset))
                }
                _ => Err(error.into()),
            },
        }
    }
}
