//! A Redis server.

use std::ops::{Deref, DerefMut};
use std::process::Output;
use std::time::Duration;

use super::{Hosted, tool};
use crate::certificate::Certificate;
use crate::wait::PATIENCE;

/// A Redis of its own, in memory only. What it can do as a server is in [`Hosted`].
#[derive(Debug)]
pub struct Redis {
    daemon: Hosted,
    password: Option<String>,
    tls: bool,
}

impl Redis {
    /// Starts one that lets everybody in.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        Self::with(None, None, &[]).await
    }

    /// Starts one that asks for `password`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn with_password(password: &str) -> crate::Result<Self> {
        Self::with(Some(password), None, &[]).await
    }

    /// Starts one that speaks TLS only and shows `certificate`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn with_tls(certificate: &Certificate) -> crate::Result<Self> {
        Self::with(None, Some(certificate), &[]).await
    }

    /// Starts one with all that, and with further words of its command line.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn with(
        password: Option<&str>,
        certificate: Option<&Certificate>,
        words: &[&str],
    ) -> crate::Result<Self> {
        let program = tool::find("redis-server")?;
        let mut daemon = Hosted::new("redis-server", program, "eady to accept connections")?;
        let port = daemon.address().port().to_string();
        daemon.words(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        if let Some(password) = password {
            daemon.words(["--requirepass", password]);
        }
        if let Some(certificate) = certificate {
            let cert = daemon.write("cert.pem", &certificate.certificate)?;
            let key = daemon.write("key.pem", &certificate.key)?;
            daemon.words(["--port", "0", "--tls-port", &port]);
            daemon.words(["--tls-auth-clients", "no"]);
            for (word, path) in [
                ("--tls-cert-file", &cert),
                ("--tls-key-file", &key),
                ("--tls-ca-cert-file", &cert),
            ] {
                daemon.words([word.as_ref(), path.as_os_str()]);
            }
        } else {
            daemon.words(["--port", &port]);
        }
        daemon.words(words.iter().copied());
        daemon.start().await?;
        Ok(Self {
            daemon,
            password: password.map(str::to_owned),
            tls: certificate.is_some(),
        })
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let login = self
            .password
            .as_ref()
            .map(|password| format!(":{password}@"));
        format!(
            "{scheme}://{}{}/0",
            login.unwrap_or_default(),
            self.address()
        )
    }

    /// Runs a command with `redis-cli` and returns what it prints. Not for one with TLS.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn command(&self, words: &[&str]) -> crate::Result<String> {
        let port = self.address().port().to_string();
        let mut all = vec!["-p", &port, "-e"];
        if let Some(password) = &self.password {
            all.extend(["--no-auth-warning", "-a", password]);
        }
        all.extend(words);
        let patience: Duration = PATIENCE;
        let Output {
            status,
            stdout,
            stderr,
        } = tool::run("redis-cli", &all, patience).await?;
        let text = String::from_utf8_lossy(&stdout).trim().to_owned();
        anyhow::ensure!(
            status.success(),
            "redis-cli {words:?}: {text} {}",
            String::from_utf8_lossy(&stderr)
        );
        Ok(text)
    }
}

impl Deref for Redis {
    type Target = Hosted;

    fn deref(&self) -> &Hosted {
        &self.daemon
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Hosted {
        &mut self.daemon
    }
}
