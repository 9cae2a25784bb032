//! One connection after the other to what is asked; each is kept for as long as the other side keeps it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::aim::Aim;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    #[error("the connection broke off: {0}")]
    Broken(hyper::Error),
    #[error("it took too long")]
    Late,
}

impl Lost {
    /// In a word, for counting.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Broken(_) => "broken",
            Self::Late => "timeout",
        }
    }
}

/// What came back: the head, and how long the body was.
pub(super) type Answer = (Response<()>, u64);

/// Where connections lead, and the one that is open.
pub(super) struct Connection {
    aim: Arc<Aim>,
    tls: Option<Arc<ClientConfig>>,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Nowhere yet.
    pub(super) fn new(aim: Arc<Aim>, tls: Option<Arc<ClientConfig>>) -> Self {
        let open = None;
        Self { aim, tls, open }
    }

    /// Connects, unless it is connected.
    pub(super) async fn open(&mut self) -> Result<SendRequest<Full<Bytes>>, Lost> {
        if let Some(mut open) = self.open.take()
            && open.ready().await.is_ok()
        {
            return Ok(open);
        }
        let Aim { secure, .. } = *self.aim;
        let host = self.aim.host();
        let stream = TcpStream::connect((host, self.aim.port())).await;
        let stream = stream.map_err(Lost::Connect)?;
        stream.set_nodelay(true).ok();
        match &self.tls {
            Some(tls) if secure => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(|error| Lost::Tls(io::Error::other(error)))?;
                let connector = TlsConnector::from(tls.clone());
                shake(connector.connect(name, stream).await.map_err(Lost::Tls)?).await
            }
            _ => shake(stream).await,
        }
    }

    /// The same, for the first request.
    pub(super) async fn prepare(&mut self) -> Result<(), Lost> {
        self.open = Some(self.open().await?);
        Ok(())
    }

    /// Asks, and reads the whole answer. A connection that was closed while it was idle is replaced: the request was not sent on it.
    pub(super) async fn ask(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        loop {
            let used = self.open.is_some();
            let mut sender = self.open().await?;
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let answer = read(response).await.map_err(Lost::Broken)?;
                    self.open = Some(sender);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if used => request = unsent,
                    _ => return Err(Lost::Broken(error.into_error())),
                },
            }
        }
    }
}

async fn shake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Lost>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(Lost::Broken)?;
    // How it ends is told by the request that was on it.
    tokio::spawn(async move { connection.await.ok() });
    Ok(sender)
}

async fn read(response: Response<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, mut body) = response.into_parts();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok((Response::from_parts(head, ()), length))
}
