//! TLS to a dependency: who is believed, and what is said when that fails.
//!
//! Certificates are judged by the roots of the system or, with the option `ca`, by that file alone. It is read again for each
//! connection, because such files are renewed while a process runs. Only where the URL of a driver traditionally asks for
//! encryption without proof (`sslmode=require`) is nobody asked for one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a certificate has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// That somebody we trust signed it, for this name.
    Full,
    /// That somebody we trust signed it, for whatever name.
    Signed,
    /// Nothing: it is encrypted, and whoever stands between can read it all the same.
    Nothing,
}

/// Why there is no TLS, in words.
pub(crate) type Refusal = String;

/// Shakes hands over `stream` with `host`.
pub(crate) async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    proof: Proof,
    ca: Option<&Path>,
) -> Result<TlsStream<S>, Refusal> {
    let ca = ca.map(Path::to_path_buf);
    // Reads files: the roots of a system are some hundred.
    let config = tokio::task::spawn_blocking(move || config(proof, ca)).await;
    let config = config.map_err(|_| "TLS could not be set up".to_owned())??;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| "TLS is not possible: its host is no valid name".to_owned())?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
    connected.await.map_err(|error| refusal(&error))
}

fn config(proof: Proof, ca: Option<PathBuf>) -> Result<ClientConfig, Refusal> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(proof, ca, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "TLS could not be set up".to_owned())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn verifier(
    proof: Proof,
    ca: Option<PathBuf>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Refusal> {
    let algorithms = provider.signature_verification_algorithms;
    let inner: Option<Arc<dyn ServerCertVerifier>> = match (proof, ca) {
        (Proof::Nothing, _) => None,
        (_, Some(path)) => Some(of_file(&path, provider)?),
        (_, None) => {
            let system = rustls_platform_verifier::Verifier::new(provider.clone());
            let none = "the system has no root certificates; name a file with `ca`";
            Some(Arc::new(system.map_err(|_| none.to_owned())?))
        }
    };
    Ok(match (proof, inner) {
        (Proof::Full, Some(verifier)) => verifier,
        (_, inner) => Arc::new(Lenient { inner, algorithms }),
    })
}

fn of_file(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Refusal> {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(path).map_err(|_| "the file of `ca` cannot be read".to_owned())?;
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = verifier.build();
    Ok(verifier.map_err(|_| "the file of `ca` holds no certificate".to_owned())?)
}

/// Words for a handshake that failed.
fn refusal(error: &io::Error) -> Refusal {
    why(error).unwrap_or_else(|| "it ended the connection during the TLS handshake".to_owned())
}

/// What TLS has against it, if that is what failed.
pub(crate) fn why(error: &io::Error) -> Option<Refusal> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref())?;
    let why = match inner {
        Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
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
        Error::AlertReceived(_) => "it refused the TLS handshake",
        _ => "it does not speak TLS",
    };
    Some(why.to_owned())
}

/// Asks for less than a full proof.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // The name is looked at last, after everything that `Signed` asks for.
        match verified {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
