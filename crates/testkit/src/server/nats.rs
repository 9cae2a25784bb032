//! Debian's `nats-server`.

use super::daemon::{Daemon, Ready};
use super::tool;

/// A NATS server. What it keeps with `--jetstream` is in its folder.
#[derive(Debug)]
pub struct Nats {
    pub(super) daemon: Daemon,
}

impl Nats {
    /// Starts it with further words, such as `--user` and `--pass`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(words: &[&str]) -> crate::Result<Self> {
        let program = tool::find("nats-server")?;
        let mut daemon = Daemon::new("nats-server", &program, Ready::Says("Server is ready"))?;
        daemon.certify()?;
        let port = daemon.address().port().to_string();
        let command = daemon.command();
        command.args(["--addr", "127.0.0.1", "--port", &port]);
        command.args(["--store_dir", "."]).args(words);
        daemon.start().await?;
        Ok(Self { daemon })
    }

    /// Starts it with TLS.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_tls() -> crate::Result<Self> {
        Self::start(&["--tls", "--tlscert", "cert.pem", "--tlskey", "key.pem"]).await
    }
}
