//! TLS to somebody else: judged by the roots of the system, or by one file alone.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Verifier = Arc<dyn ServerCertVerifier>;

/// Reads files: the caller is where that holds nobody up.
pub(super) fn config(ca: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = match ca {
        Some(path) => of_file(path, &provider)?,
        None => of_system(&provider)?,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn of_file(path: &Path, provider: &Arc<CryptoProvider>) -> io::Result<Verifier> {
    let pem = std::fs::read(path)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier: Verifier = verifier
        .build()
        .map_err(|_| io::Error::other("the file of `ca` holds no certificate"))?;
    Ok(verifier)
}

/// The roots are hundreds, so they are read once.
fn of_system(provider: &Arc<CryptoProvider>) -> io::Result<Verifier> {
    let mut kept = system();
    if let Some(verifier) = &*kept {
        return Ok(verifier.clone());
    }
    let none = "the system has no root certificates; name a file with `ca`";
    let verifier = rustls_platform_verifier::Verifier::new(provider.clone());
    let verifier: Verifier = Arc::new(verifier.map_err(|_| io::Error::other(none))?);
    *kept = Some(verifier.clone());
    Ok(verifier)
}

fn system() -> MutexGuard<'static, Option<Verifier>> {
    static SYSTEM: Mutex<Option<Verifier>> = Mutex::new(None);
    SYSTEM.lock().unwrap_or_else(PoisonError::into_inner)
}
