//! Small questions to other services: the keys of an issuer, a decision, a document. Not the way to the app.
//!
//! One URL for each client. A connection is a value that is polled together with the exchange on it and put aside
//! afterwards, so there are no tasks, nothing is bound to a thread, and a question that is given up closes its connection.
//! Answers are read up to a bound, redirects are not followed (nobody has checked where they lead), and every question has
//! a deadline that covers connecting as well.

mod tls;
pub(crate) mod token;

use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use seaworthy_core::dsn::Dsn;
use seaworthy_core::metadata;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// So many idle connections are kept.
const IDLE: usize = 8;
/// An idle connection is used for so long; servers close them after five seconds or more.
const FRESH: Duration = Duration::from_secs(4);
/// The most of a head that is read.
const HEAD: usize = 64 * 1024;

/// Bytes in both directions, whatever is below them.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Stream = TokioIo<Box<dyn Duplex>>;

/// A connection between two questions.
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<http1::Connection<Stream, Full<Bytes>>>>,
    since: Instant,
}

/// Why there is no answer, in words that hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be connected to.
    #[error("it cannot be connected to: {0}")]
    Connect(io::Error),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// The exchange broke off.
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is longer than what is read.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// The deadline has passed.
    #[error("it did not answer within {0:?}")]
    Late(Duration),
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The fields of the head.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Asks one URL. Clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    host: String,
    port: u16,
    secure: bool,
    ca: Option<PathBuf>,
    uri: Uri,
    fields: HeaderMap,
    most: usize,
    trust: OnceLock<Arc<ClientConfig>>,
    idle: Mutex<Vec<Kept>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.shown())
    }
}

impl Client {
    /// A client for `url`, which reads answers of at most `most` bytes. With `ca`, the certificates of that file alone count.
    pub fn new(url: &Dsn, ca: Option<PathBuf>, most: usize) -> Self {
        let secure = url.scheme() == "https";
        let usual = if secure { 443 } else { 80 };
        let (host, port) = (url.host(), url.port_or(usual));
        let whole = url.expose();
        let query = whole.query().map(|q| format!("?{q}")).unwrap_or_default();
        let mut fields = HeaderMap::new();
        let agent = concat!("seaworthy/", env!("CARGO_PKG_VERSION"));
        fields.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        fields.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, */*;q=0.1"),
        );
        let named = if port == usual {
            whole.host_str().unwrap_or_default().to_owned()
        } else {
            shown(&host, port)
        };
        if let Ok(named) = HeaderValue::try_from(named) {
            fields.insert(header::HOST, named);
        }
        if let Some(basic) = authorization(url) {
            fields.insert(header::AUTHORIZATION, basic);
        }
        Self(Arc::new(Inner {
            host,
            port,
            secure,
            ca,
            // A URL that was parsed has a path that can be sent.
            uri: format!("{}{query}", whole.path())
                .parse()
                .unwrap_or_default(),
            fields,
            most,
            trust: OnceLock::new(),
            idle: Mutex::default(),
        }))
    }

    /// Host and port.
    pub fn shown(&self) -> String {
        shown(&self.0.host, self.0.port)
    }

    /// Fetches what is there.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn get(&self, within: Duration) -> Result<Answer, Failure> {
        self.send(Method::GET, HeaderMap::new(), Bytes::new(), within)
            .await
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn post(&self, document: Bytes, within: Duration) -> Result<Answer, Failure> {
        let mut fields = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        fields.insert(header::CONTENT_TYPE, json);
        self.send(Method::POST, fields, document, within).await
    }

    /// Sends whatever is wished, with `fields` over those that every question has. It may be sent twice where the server ended a
    /// connection that was kept.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(
        &self,
        method: Method,
        fields: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.0.uri.clone();
        *request.headers_mut() = self.0.fields.clone();
        // Extending would add where it has to replace.
        for (name, value) in &fields {
            request.headers_mut().insert(name, value.clone());
        }
        let asked = tokio::time::timeout(within, async {
            if let Some(kept) = self.kept() {
                match self.exchange(kept, request.clone()).await {
                    // The server was closing it just then; a question may be asked twice.
                    Err(Failure::Http(error)) if broke_off(&error) => {}
                    done => return done,
                }
            }
            let fresh = self.connect().await?;
            self.exchange(fresh, request).await
        });
        asked.await.unwrap_or(Err(Failure::Late(within)))
    }

    async fn exchange(
        &self,
        mut kept: Kept,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Failure> {
        let most = self.0.most;
        let talk = async {
            kept.sender.ready().await?;
            let response = kept.sender.send_request(request).await?;
            let (head, body) = response.into_parts();
            let body = read(body, most).await?;
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        let (answer, open) = match select(pin!(talk), kept.connection.as_mut()).await {
            Either::Left((answer, _)) => (answer, true),
            // What it had read is still to be had, and otherwise the error is.
            Either::Right((_, talk)) => (talk.await, false),
        };
        if open && answer.is_ok() && !kept.sender.is_closed() {
            kept.since = Instant::now();
            self.keep(kept);
        }
        answer
    }

    async fn connect(&self) -> Result<Kept, Failure> {
        let Inner { host, port, .. } = &*self.0;
        let found = tokio::net::lookup_host((host.as_str(), *port)).await;
        let found = found.map_err(Failure::Connect)?;
        // A name may lead where the configuration must not.
        let found: Vec<_> = found
            .filter(|address| !metadata::is_address(address.ip()))
            .collect();
        if found.is_empty() {
            let why = "it leads to nothing but addresses that belong to the machine";
            return Err(Failure::Connect(io::Error::other(why)));
        }
        let stream = TcpStream::connect(found.as_slice()).await;
        let stream = stream.map_err(Failure::Connect)?;
        // Small messages wait for each other otherwise; without it they are only slower.
        stream.set_nodelay(true).ok();
        let stream: Box<dyn Duplex> = if self.0.secure {
            let connector = TlsConnector::from(self.trust().await?);
            let name = ServerName::try_from(host.clone())
                .map_err(|_| Failure::Tls(io::ErrorKind::InvalidInput.into()))?;
            Box::new(
                connector
                    .connect(name, stream)
                    .await
                    .map_err(Failure::Tls)?,
            )
        } else {
            Box::new(stream)
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Kept {
            sender,
            connection: Box::pin(connection),
            since: Instant::now(),
        })
    }

    async fn trust(&self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.0.trust.get() {
            return Ok(config.clone());
        }
        let ca = self.0.ca.clone();
        let read = tokio::task::spawn_blocking(move || tls::config(ca.as_deref())).await;
        let config = read
            .map_err(io::Error::other)
            .flatten()
            .map_err(Failure::Tls)?;
        Ok(self.0.trust.get_or_init(|| config).clone())
    }

    fn kept(&self) -> Option<Kept> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| kept.since.elapsed() < FRESH && !kept.sender.is_closed());
        idle.pop()
    }

    fn keep(&self, kept: Kept) {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(kept);
        }
    }
}

/// Whether the connection ended before there was an answer.
fn broke_off(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}

fn shown(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn authorization(url: &Dsn) -> Option<HeaderValue> {
    let (user, password) = (url.user(), url.password());
    if user.is_none() && password.is_none() {
        return None;
    }
    let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn read(mut body: Incoming, most: usize) -> Result<Bytes, Failure> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if data.len() > most - read.len() {
            return Err(Failure::TooLong(most));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}
