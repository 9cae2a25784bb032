//! TLS in front: rustls, with a certificate that may change while we run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use seaworthy_core::names::event;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at. Certificates change every few weeks; what counts is that nobody restarts us for it.
pub const LOOK: Duration = Duration::from_secs(2);

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source} (check the path in listen.tls and who may read it)")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file holds no PEM of the right kind.
    #[error("{path}, named in listen.tls, holds no usable {what} in PEM form: {reason}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a kind that TLS does not use.
    #[error("the certificate and the key of listen.tls cannot be used together: {0}")]
    Pair(#[from] rustls::Error),
}

/// The two files.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain, own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

impl Files {
    /// Reads both, and what they held, so that a change can be told.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn load(&self) -> Result<(Arc<ServerConfig>, Seen), TlsError> {
        let seen = Seen {
            cert: read(&self.cert)?,
            key: read(&self.key)?,
        };
        let pem = |path: &Path, what, reason: String| TlsError::Pem {
            path: path.to_owned(),
            what,
            reason,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&seen.cert)
            .collect::<Result<_, _>>()
            .map_err(|error| pem(&self.cert, "certificate", error.to_string()))?;
        if chain.is_empty() {
            return Err(pem(
                &self.cert,
                "certificate",
                "there is none in it".to_owned(),
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(&seen.key)
            .map_err(|error| pem(&self.key, "private key", error.to_string()))?;
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = if self.http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        Ok((Arc::new(config), seen))
    }
}

/// What the files held.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A key must not appear in a log because somebody printed a struct.
        f.write_str("Seen")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Accepts TLS with the newest certificate. Clones share it.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<ArcSwap<ServerConfig>>);

impl Acceptor {
    /// Begins with `config`.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// Serves new connections with `config`; those that are open keep theirs.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// When the client does not speak TLS, or none of ours.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.0.load_full()).accept(stream).await
    }
}

/// Reads the files again for ever, and uses what they hold once it changed and is usable.
pub async fn watch(files: Files, mut seen: Seen, acceptor: Acceptor) {
    loop {
        tokio::time::sleep(LOOK).await;
        let newest = match (read(&files.cert), read(&files.key)) {
            (Ok(cert), Ok(key)) => Seen { cert, key },
            // Half-replaced files are an ordinary moment of a rotation; the next look will see both.
            _ => continue,
        };
        if newest == seen {
            continue;
        }
        seen = newest;
        match files.load() {
            Ok((config, _)) => {
                acceptor.replace(config);
                tracing::info!(event = event::TLS_RELOADED, cert = %files.cert.display(), "the certificate was read again");
            }
            Err(error) => {
                tracing::warn!(event = event::TLS_RELOAD_FAILED, %error, "the old certificate stays in use");
            }
        }
    }
}
