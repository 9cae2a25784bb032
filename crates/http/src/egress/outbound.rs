//! The client at the bottom.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use seaworthy_core::{catalogue, metadata};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use super::Target;
use crate::error::{BodyError, Error};

/// Connections that are kept for the next call.
const IDLE: usize = 32;
/// They are kept no longer than this: most servers end them after a minute or more.
const KEPT: Duration = Duration::from_secs(30);
/// How long making one may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Sends requests to one target. Clones share their connections.
pub struct Outbound<B>(Arc<Shared<B>>);

struct Shared<B> {
    target: Target,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<(SendRequest<B>, Instant)>>,
}

impl<B> Clone for Outbound<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> fmt::Debug for Outbound<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("target", &self.0.target)
            .finish_non_exhaustive()
    }
}

impl<B> Outbound<B> {
    /// Calls `target`, by `tls` where it is secure.
    pub fn new(target: Target, tls: Option<Arc<ClientConfig>>) -> Self {
        Self(Arc::new(Shared {
            target,
            tls: tls.map(TlsConnector::from),
            idle: Mutex::default(),
        }))
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<OutboundBody>, Error>> + Send>>;

impl<B> Service<Request<B>> for Outbound<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Send + Unpin + 'static,
{
    type Response = Response<OutboundBody>;
    type Error = Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        let shared = self.0.clone();
        Box::pin(async move { shared.send(request).await })
    }
}

impl<B> Shared<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Send + Unpin + 'static,
{
    async fn send(self: Arc<Self>, request: Request<B>) -> Result<Response<OutboundBody>, Error> {
        let mut request = self.addressed(request)?;
        loop {
            let kept = self.take();
            let was_kept = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.keep(sender);
                    return Ok(passed_on(response));
                }
                // It ended while it idled, and nothing was sent: another one may have the request.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_kept => request = unsent,
                    _ => return Err(Error::new(&catalogue::UPSTREAM_CLOSED)),
                },
            }
        }
    }

    /// The request as the target gets it.
    fn addressed(&self, mut request: Request<B>) -> Result<Request<B>, Error> {
        let malformed = || Error::new(&catalogue::MALFORMED_REQUEST);
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(path);
        *request.version_mut() = Version::HTTP_11;
        let host = HeaderValue::from_str(self.target.authority.as_str());
        let host = host.map_err(|_| malformed())?;
        let fields = request.headers_mut();
        strip(fields);
        fields.insert(header::HOST, host);
        Ok(request)
    }

    fn take(&self) -> Option<SendRequest<B>> {
        let mut idle = self.idle();
        while let Some((sender, since)) = idle.pop() {
            if sender.is_ready() && since.elapsed() < KEPT {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection once its answer has ended.
    fn keep(self: &Arc<Self>, mut sender: SendRequest<B>) {
        let shared = self.clone();
        tokio::spawn(async move {
            if sender.ready().await.is_ok() {
                let mut idle = shared.idle();
                if idle.len() < IDLE {
                    idle.push((sender, Instant::now()));
                }
            }
        });
    }

    async fn connect(&self) -> Result<SendRequest<B>, Error> {
        let made = tokio::time::timeout(CONNECT, self.connection()).await;
        made.unwrap_or_else(|_| Err(unreachable("it takes too long to connect")))
    }

    async fn connection(&self) -> Result<SendRequest<B>, Error> {
        let target = &self.target;
        let found = tokio::net::lookup_host((target.host(), target.port())).await;
        let found: Vec<SocketAddr> = found
            .map_err(|_| unreachable("its name cannot be resolved"))?
            // A name may lead where the configuration must not.
            .filter(|address| !metadata::is_address(address.ip()))
            .collect();
        let stream = TcpStream::connect(found.as_slice()).await;
        let stream = stream.map_err(|_| unreachable("it cannot be connected to"))?;
        stream.set_nodelay(true).ok();
        match &self.tls {
            Some(tls) if target.secure => {
                let name = ServerName::try_from(target.host().to_owned());
                let name = name.map_err(|_| unreachable("its host is no name for TLS"))?;
                let stream = tls.connect(name, stream).await;
                shake(stream.map_err(|_| unreachable("the TLS handshake failed"))?).await
            }
            _ => shake(stream).await,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(SendRequest<B>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(why: &'static str) -> Error {
    Error::new(&catalogue::UPSTREAM_UNREACHABLE).with("reason", why)
}

async fn shake<B, S>(stream: S) -> Result<SendRequest<B>, Error>
where
    B: Body<Data = Bytes, Error = BodyError> + Send + Unpin + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|_| unreachable("it cannot be connected to"))?;
    tokio::spawn(async move {
        // How it ends is told by the answer that was under way.
        connection.await.ok();
    });
    Ok(sender)
}

fn passed_on(mut response: Response<Incoming>) -> Response<OutboundBody> {
    strip(response.headers_mut());
    response.map(OutboundBody)
}

/// Takes away what is said to the next hop alone (RFC 9110, section 7.6.1).
fn strip(fields: &mut HeaderMap) {
    let named: Vec<HeaderName> = fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        fields.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHORIZATION,
        header::PROXY_AUTHENTICATE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        fields.remove(name);
    }
}

/// The answer's body, as it comes.
#[derive(Debug)]
pub struct OutboundBody(Incoming);

/// The body of the app's request, as it comes.
#[derive(Debug)]
pub struct Inbound(pub Incoming);

macro_rules! streams {
    ($type:ty) => {
        impl Body for $type {
            type Data = Bytes;
            type Error = BodyError;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
                Pin::new(&mut self.0)
                    .poll_frame(cx)
                    .map_err(BodyError::from)
            }

            fn is_end_stream(&self) -> bool {
                self.0.is_end_stream()
            }

            fn size_hint(&self) -> SizeHint {
                self.0.size_hint()
            }
        }
    };
}

streams!(OutboundBody);
streams!(Inbound);
