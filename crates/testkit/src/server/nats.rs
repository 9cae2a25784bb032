//! Debian's `nats-server`.

use std::path::Path;

use tokio::process::Command;

use super::{Daemon, tool};

/// A NATS server.
#[derive(Debug)]
pub struct Nats {
    /// The server.
    pub daemon: Daemon,
}

impl Nats {
    /// Starts it with further words, such as `--user` and `--pass`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(words: &[&str]) -> crate::Result<Self> {
        let program = tool::find("nats-server")?;
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let daemon = Daemon::start_with("nats-server", move |address| {
            let mut command = Command::new(&program);
            command.args(["--addr", "127.0.0.1", "--port"]);
            command.arg(address.port().to_string()).args(&words);
            command
        });
        Ok(Self {
            daemon: daemon.await?,
        })
    }

    /// Starts it with TLS.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_tls(certificate: &Path, key: &Path) -> crate::Result<Self> {
        let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
        Self::start(&["--tls", "--tlscert", &certificate, "--tlskey", &key]).await
    }
}
