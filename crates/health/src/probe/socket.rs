//! A connection to a broker, plain or over TLS, and what can go wrong on it.
//!
//! The broker kinds speak their protocols themselves, so that a run that is cut short leaves nothing behind: all there is
//! is one socket, and dropping it ends the conversation. Nothing is read without a limit.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Outcome;

/// How a socket is secured.
#[derive(Clone, Debug, Default)]
pub(crate) enum Security {
    /// Not at all.
    #[default]
    Plain,
    /// TLS with the system's roots, or with those of a file alone.
    Tls(Option<std::path::PathBuf>),
}

impl Security {
    /// TLS when `tls` says so.
    pub(crate) fn new(tls: bool, ca: Option<&Path>) -> Self {
        if tls {
            Self::Tls(ca.map(Path::to_path_buf))
        } else {
            Self::Plain
        }
    }
}

/// What a protocol is spoken on.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// An open connection.
pub(crate) type Socket = BufReader<Box<dyn Wire>>;

/// What is kept between two runs. A run takes it out, so that one that is cut short ends it.
#[derive(Debug)]
pub(crate) struct Kept<T>(Mutex<Option<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// Takes it out.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts it back.
    pub(crate) fn put(&self, kept: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

/// Why a conversation ended early.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection failed.
    Io(io::Error),
    /// What came is not the protocol that was expected.
    Foreign,
    /// It is known what is wrong, and said so.
    Says(String),
}

impl Trouble {
    /// What it means for whoever asked for something that speaks `tongue`.
    pub(crate) fn outcome(self, tongue: &str) -> Outcome {
        match self {
            Self::Io(error) => super::unreachable(&error),
            Self::Foreign => {
                Outcome::unhealthy(format!("what listens there does not speak {tongue}"))
            }
            Self::Says(what) => Outcome::unhealthy(what),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // This is what rustls says of records that are none.
            io::ErrorKind::InvalidData => Self::Foreign,
            _ => Self::Io(error),
        }
    }
}

/// Connects to `host` at `port`.
pub(crate) async fn connect(host: &str, port: u16, security: &Security) -> Result<Socket, Trouble> {
    let plain = TcpStream::connect((host, port)).await?;
    plain.set_nodelay(true)?;
    let wire: Box<dyn Wire> = match security {
        Security::Plain => Box::new(plain),
        Security::Tls(ca) => {
            let config = trust(ca.as_deref()).await?;
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| Trouble::Says("its host is no name that TLS can check".to_owned()))?;
            let shaken = TlsConnector::from(config).connect(name, plain).await;
            Box::new(shaken.map_err(|error| not_shaken(&error))?)
        }
    };
    Ok(BufReader::new(wire))
}

/// Whom to trust. A file is read anew for each connection, because certificates are replaced while we run.
async fn trust(ca: Option<&Path>) -> Result<Arc<ClientConfig>, Trouble> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let Some(ca) = ca else {
        if let Some(config) = SYSTEM.get() {
            return Ok(config.clone());
        }
        let config = builder()?
            .with_platform_verifier()
            .map_err(|_| Trouble::Says("the system's certificates cannot be read".to_owned()))?
            .with_no_client_auth();
        return Ok(SYSTEM.get_or_init(|| Arc::new(config)).clone());
    };
    let bad = || Trouble::Says("the file in `ca` holds no certificate".to_owned());
    let pem = tokio::fs::read(ca)
        .await
        .map_err(|_| Trouble::Says("the file in `ca` cannot be read".to_owned()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| bad())?;
        roots.add(certificate).map_err(|_| bad())?;
    }
    if roots.is_empty() {
        return Err(bad());
    }
    let config = builder()?.with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Trouble> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Trouble::Says("TLS cannot be used here".to_owned()))
}

fn not_shaken(error: &io::Error) -> Trouble {
    use rustls::Error;
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let why = match inner {
        Some(Error::InvalidCertificate(certificate)) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            CertificateError::UnknownIssuer => "nobody trusted signed it",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "it is for another name"
            }
            _ => "it is not valid",
        },
        Some(_) => return Trouble::Says("it does not speak TLS as we do".to_owned()),
        None => return Trouble::Io(error.kind().into()),
    };
    Trouble::Says(format!("its certificate is refused: {why}"))
}

/// Reads exactly `length` bytes into a buffer that grows with what came, not with what was announced.
pub(crate) async fn read_bytes(socket: &mut Socket, length: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::with_capacity(length.min(4096));
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    socket.take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() < length {
        return Err(Trouble::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

/// Hands the system some last bytes without waiting for anybody: what a run that is cut short can still do.
pub(crate) fn leave(mut socket: Socket, last: &[u8]) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let wire = socket.get_mut();
    // Nobody could be told of a failure, and nothing could be done about it.
    drop(Pin::new(&mut *wire).poll_write(&mut context, last));
    drop(Pin::new(&mut *wire).poll_shutdown(&mut context));
}

/// A version as the other side tells it, when it looks like one.
pub(crate) fn version(text: &str) -> Option<String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || ".-+_~".contains(c);
    let fits = (1..=40).contains(&text.len()) && text.chars().all(is_fine);
    fits.then(|| text.to_owned())
}
