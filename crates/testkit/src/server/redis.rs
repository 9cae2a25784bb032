//! A Redis server.

use std::net::SocketAddr;

use super::daemon::{Daemon, Ready};
use super::tool;

/// A Redis of its own, which has written to its disk whatever it has answered to.
#[derive(Debug)]
pub struct Redis {
    pub(super) daemon: Daemon,
    options: Builder,
}

/// What a [`Redis`] is started with.
#[derive(Debug, Default)]
pub struct Builder {
    password: Option<String>,
    tls: bool,
    words: Vec<String>,
}

impl Redis {
    /// One that lets everybody in, unless more is said.
    #[must_use]
    pub fn build() -> Builder {
        Builder::default()
    }

    /// Starts one that lets everybody in.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        Self::build().start().await
    }

    /// Its URL, with the password and without a database.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.daemon.address())
    }

    /// The same with another address, such as that of a [`Gap`](super::Gap).
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        let password = self.options.password.iter();
        let login: String = password.map(|password| format!(":{password}@")).collect();
        format!("{scheme}://{login}{address}")
    }

    /// Runs a command with `redis-cli`, whose own words may come first, and returns what it prints. Not for one with TLS.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn command(&self, words: &[&str]) -> crate::Result<String> {
        let mut command = self.daemon.beside(tool::find("redis-cli")?);
        let port = self.daemon.address().port().to_string();
        command.args(["-p", &port, "-e"]).args(words);
        if let Some(password) = &self.options.password {
            command.env("REDISCLI_AUTH", password);
        }
        tool::printed(command).await
    }
}

impl Builder {
    /// Asks for a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Speaks TLS only.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Further words of its command line, such as `--user` with a name and rules.
    #[must_use]
    pub fn words(mut self, words: &[&str]) -> Self {
        self.words
            .extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(self) -> crate::Result<Redis> {
        let program = tool::find("redis-server")?;
        let mut daemon = Daemon::new("redis-server", &program, Ready::Says("eady to accept"))?;
        let port = daemon.address().port().to_string();
        if self.tls {
            daemon.certify()?;
        }
        let command = daemon.command();
        command.args(["--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "no"]);
        if self.tls {
            command.args([
                "--port",
                "0",
                "--tls-port",
                &port,
                "--tls-auth-clients",
                "no",
            ]);
            command.args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"]);
            command.args(["--tls-ca-cert-file", "cert.pem"]);
        } else {
            command.args(["--port", &port]);
        }
        if let Some(password) = &self.password {
            command.args(["--requirepass", password]);
        }
        command.args(&self.words);
        daemon.start().await?;
        Ok(Redis {
            daemon,
            options: self,
        })
    }
}
