//! A Redis that serves as a broker: nothing on disk, the password `secret`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::launched::{Launched, printed};
use super::tool;
use crate::address;
use crate::certificate::Certificate;

/// A Redis server.
#[derive(Debug)]
pub struct RedisBroker {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens with TLS.
    pub tls: SocketAddr,
    /// The certificate it shows there.
    pub ca: PathBuf,
    server: Launched,
    _folder: TempDir,
}

impl RedisBroker {
    /// Starts it.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub async fn start() -> crate::Result<Self> {
        let (program, address, folder) = (
            tool::find("redis-server")?,
            address::free()?,
            tempfile::tempdir()?,
        );
        let path = folder.path().to_path_buf();
        let tls = address::free()?;
        let (ca, _) = Certificate::new()?.write(&path)?;
        let server = Launched::new("Redis", move || {
            let mut command = Command::new(&program);
            command
                .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
                .args([
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    "--requirepass",
                    "secret",
                ])
                .args([
                    "--tls-port",
                    &tls.port().to_string(),
                    "--tls-auth-clients",
                    "no",
                ])
                .args(["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"])
                .args(["--tls-ca-cert-file", "cert.pem"])
                .current_dir(&path);
            command
        });
        let mut redis = Self {
            address,
            tls,
            ca,
            server,
            _folder: folder,
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// The URL of its database 3.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:secret@{}/3", self.address)
    }

    /// What `redis-cli` prints for a command in database 3.
    ///
    /// # Errors
    /// When it fails.
    pub async fn cli(&self, words: &[&str]) -> crate::Result<String> {
        let mut command = Command::new(tool::find("redis-cli")?);
        command
            .args(["-p", &self.address.port().to_string(), "-n", "3"])
            .env("REDISCLI_AUTH", "secret")
            .args(words)
            .kill_on_drop(true);
        printed(command, "redis-cli").await
    }

    /// Starts it again at the same address, empty, after [`stop`](Self::stop).
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> crate::Result<()> {
        let address = self.address;
        self.server
            .start(|_| async move { answers(address).await.is_ok() })
            .await
    }

    /// Kills it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> crate::Result<()> {
        self.server.stop().await
    }

    /// Stops it with SIGSTOP.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn pause(&self) -> crate::Result<()> {
        self.server.pause().await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&self) -> crate::Result<()> {
        self.server.resume()
    }
}

async fn answers(address: SocketAddr) -> crate::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let first = tokio::time::timeout(Duration::from_secs(1), stream.read_u8()).await;
    ensure!(first.context("no answer")?? == b'-', "it lets everybody in");
    Ok(())
}
