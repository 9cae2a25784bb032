//! TLS to a dependency: who is believed, and what is said when that fails.
//!
//! Certificates are judged by the roots of the system or, with the option `ca`, by that file alone. The roots are hundreds, so
//! they are kept until a certificate is refused: they may have been renewed since. The file is read for each connection.
//! Only where the URL of a driver traditionally asks for encryption without proof (`sslmode=require`) is nobody asked for one.

#[cfg(any(feature = "mysql", feature = "postgres"))]
mod lenient;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Outcome;

/// What a certificate has to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// That somebody we trust signed it, for this name.
    #[default]
    Full,
    /// That somebody we trust signed it, for whatever name.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    Signed,
    /// Nothing: it is encrypted, and whoever stands between can read it all the same.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    Nothing,
}

/// Whom to believe, and what to offer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    pub(crate) proof: Proof,
    /// The file of certificates that are trusted instead of those of the system.
    pub(crate) ca: Option<PathBuf>,
    /// The protocols above TLS.
    pub(crate) alpn: &'static [&'static [u8]],
}

type Verifier = Arc<dyn ServerCertVerifier>;

/// Shakes hands over `stream` with `host`.
pub(crate) async fn secure(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
) -> Result<TlsStream<TcpStream>, Outcome> {
    let asked = trust.clone();
    // Reads files.
    let config = tokio::task::spawn_blocking(move || asked.config()).await;
    let config = config.map_err(|_| Outcome::unknown("TLS could not be set up"))??;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Outcome::unhealthy("its host is no name that TLS can check"))?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
    shaken.await.map_err(|error| {
        if matches!(cause(&error), Some(Error::InvalidCertificate(_))) {
            *system() = None;
        }
        let ended = "it ended the connection during the TLS handshake";
        Outcome::unhealthy(why(&error).unwrap_or(ended))
    })
}

/// How a client checks certificates: against those of the file `ca`, or else against those of the system. It reads files.
///
/// # Errors
/// When there is nothing to check against, in words.
pub fn client_config(ca: Option<PathBuf>) -> Result<ClientConfig, String> {
    let trust = Trust {
        ca,
        ..Trust::default()
    };
    trust.config().map_err(|outcome| outcome.message)
}

impl Trust {
    fn config(&self) -> Result<ClientConfig, Outcome> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = self.verifier(&provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| Outcome::unknown("TLS could not be set up"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Verifier, Outcome> {
        let trusted = || match &self.ca {
            Some(path) => of_file(path, provider),
            None => of_system(provider),
        };
        match self.proof {
            Proof::Full => trusted(),
            #[cfg(any(feature = "mysql", feature = "postgres"))]
            proof => {
                let inner = (proof == Proof::Signed).then(trusted).transpose()?;
                let algorithms = provider.signature_verification_algorithms;
                Ok(Arc::new(lenient::Lenient { inner, algorithms }))
            }
        }
    }
}

fn of_file(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Verifier, Outcome> {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(path).map_err(|_| unreadable())?;
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = verifier.build();
    Ok(verifier.map_err(|_| Outcome::unknown("the file of `ca` holds no certificate"))?)
}

/// That no file of `ca` can be read.
pub(crate) fn unreadable() -> Outcome {
    Outcome::unknown("the file of `ca` cannot be read")
}

fn of_system(provider: &Arc<CryptoProvider>) -> Result<Verifier, Outcome> {
    let mut kept = system();
    if let Some(verifier) = &*kept {
        return Ok(verifier.clone());
    }
    let verifier = rustls_platform_verifier::Verifier::new(provider.clone());
    let none = "the system has no root certificates; name a file with `ca`";
    let verifier: Verifier = Arc::new(verifier.map_err(|_| Outcome::unknown(none))?);
    *kept = Some(verifier.clone());
    Ok(verifier)
}

fn system() -> MutexGuard<'static, Option<Verifier>> {
    static SYSTEM: Mutex<Option<Verifier>> = Mutex::new(None);
    SYSTEM.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What TLS has against it, if that is what failed.
pub(crate) fn why(error: &io::Error) -> Option<&'static str> {
    Some(match cause(error)? {
        Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            // Another certificate of the same name is of an unknown authority too.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is signed by nobody known; name the file of its authority with `ca`"
            }
            _ => "its certificate is not valid",
        },
        Error::AlertReceived(_) => "it refuses the TLS handshake",
        Error::InvalidMessage(_) => "it does not speak TLS",
        _ => "the TLS handshake failed",
    })
}
