//! Self-signed certificates for TLS tests.
//!
//! Made fresh for each test, so none can expire in the repository.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// A certificate for `localhost` and 127.0.0.1 with its key.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate as PEM.
    pub certificate: String,
    /// The private key as PEM.
    pub key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new() -> crate::Result<Self> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
        Ok(Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            der: made.cert.der().clone(),
        })
    }

    /// Writes `cert.pem` and `key.pem` into `folder` and returns their paths.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write(&self, folder: &Path) -> crate::Result<(PathBuf, PathBuf)> {
        let paths = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&paths.0, &self.certificate)?;
        std::fs::write(&paths.1, &self.key)?;
        Ok(paths)
    }

    /// The certificate as DER, to compare with what a server shows.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// A client configuration that trusts this certificate alone and offers `alpn`.
    ///
    /// # Errors
    /// When rustls refuses the certificate.
    pub fn client(&self, alpn: &[&str]) -> crate::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn can_be_written_and_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let made = Certificate::new().unwrap();
        let (certificate, key) = made.write(folder.path()).unwrap();
        assert!(
            std::fs::read_to_string(certificate)
                .unwrap()
                .contains("BEGIN CERTIFICATE")
        );
        assert!(
            std::fs::read_to_string(key)
                .unwrap()
                .contains("PRIVATE KEY")
        );
        assert_eq!(
            made.client(&["h2"]).unwrap().alpn_protocols,
            vec![b"h2".to_vec()]
        );
    }
}
