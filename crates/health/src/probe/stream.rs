//! Connections of probes that speak a protocol of their own: TCP, and TLS above it where the URL says so.
//!
//! A connection is made anew when it is needed and belongs to the future that made it, so that a run that is cancelled leaves
//! nothing open. Certificates are always verified: against the roots of the system, or against one file.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Outcome;

/// Bytes in both directions.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, whatever is below it.
pub(super) type Stream = Box<dyn Duplex>;

/// Where a probe connects to.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    ca: Option<PathBuf>,
    alpn: &'static [&'static [u8]],
    /// Made at the first handshake: the roots are hundreds of certificates.
    config: Mutex<Option<Arc<ClientConfig>>>,
}

impl Target {
    pub(super) fn new(host: String, port: u16, tls: bool, ca: Option<PathBuf>) -> Self {
        Self {
            host,
            port,
            tls,
            ca,
            alpn: &[],
            config: Mutex::default(),
        }
    }

    /// Offers these protocols in the handshake.
    pub(super) fn offering(mut self, alpn: &'static [&'static [u8]]) -> Self {
        self.alpn = alpn;
        self
    }

    /// Host and port as people write them.
    pub(super) fn shown(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects, and shakes hands where TLS is wanted from the first byte on.
    pub(super) async fn connect(&self) -> Result<Stream, Outcome> {
        let stream = self.connect_plain().await?;
        if self.tls {
            return self.secure(stream).await;
        }
        Ok(Box::new(stream))
    }

    /// Connects without TLS, for protocols that begin without it.
    pub(super) async fn connect_plain(&self) -> Result<TcpStream, Outcome> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = connecting.await.map_err(|e| super::unreachable(&e))?;
        // Small messages wait for each other otherwise; without it they are only slower.
        stream.set_nodelay(true).ok();
        Ok(stream)
    }

    /// Begins TLS on a connection.
    pub(super) async fn secure(&self, stream: TcpStream) -> Result<Stream, Outcome> {
        let config = self.config()?;
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| Outcome::unhealthy("its host name cannot be verified by TLS"))?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                // The roots may have been renewed since; the next run reads them again.
                *self.slot() = None;
                Err(Outcome::unhealthy(handshake_failure(&error)))
            }
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<ClientConfig>>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn config(&self) -> Result<Arc<ClientConfig>, Outcome> {
        if let Some(config) = self.slot().clone() {
            return Ok(config);
        }
        let config = Arc::new(self.make_config()?);
        *self.slot() = Some(config.clone());
        Ok(config)
    }

    fn make_config(&self) -> Result<ClientConfig, Outcome> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|_| Outcome::unknown("TLS is not available"))?;
        let mut config = match &self.ca {
            Some(path) => {
                let unreadable = || {
                    Outcome::unknown(format!(
                        "no certificate can be read from {}",
                        path.display()
                    ))
                };
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_file_iter(path).map_err(|_| unreadable())? {
                    let certificate = certificate.map_err(|_| unreadable())?;
                    roots.add(certificate).map_err(|_| unreadable())?;
                }
                if roots.is_empty() {
                    return Err(unreadable());
                }
                builder.with_root_certificates(roots)
            }
            None => {
                let verifier = Verifier::new(provider).map_err(|_| {
                    Outcome::unknown("the system has no root certificates; name a file with `ca`")
                })?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
        }
        .with_no_client_auth();
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}, tls: {})", self.shown(), self.tls)
    }
}

fn handshake_failure(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            CertificateError::UnknownIssuer => "its certificate is not from an authority we trust",
            _ => "its certificate is not accepted",
        },
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS",
        Some(rustls::Error::AlertReceived(_)) => "it refuses the TLS handshake",
        Some(_) => "the TLS handshake failed",
        None => "it ended the connection in the TLS handshake",
    }
}
