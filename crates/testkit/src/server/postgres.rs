//! A PostgreSQL server.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use super::{Hosted, tool};
use crate::certificate::Certificate;
use crate::wait::PATIENCE;

/// A Postgres of its own: the user `postgres`, the database `postgres`, no care for its disk. What it can do as a server is in
/// [`Hosted`].
#[derive(Debug)]
pub struct Postgres {
    daemon: Hosted,
    password: String,
}

impl Postgres {
    /// Starts one that asks for a password.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        Self::with(None, &[]).await
    }

    /// Starts one that can speak TLS when there is a `certificate`, with further settings such as `max_connections=5`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn with(certificate: Option<&Certificate>, settings: &[&str]) -> crate::Result<Self> {
        let ready = "database system is ready to accept connections";
        let mut daemon = Hosted::new("postgres", program("postgres")?, ready)?;
        let password = "hunter2".to_owned();
        let file = daemon.write("password", &password)?;
        let file = format!("--pwfile={}", file.display());
        let words = [
            "--pgdata=data",
            "--username=postgres",
            "--auth=scram-sha-256",
            "--no-sync",
            "--encoding=UTF8",
            &file,
        ];
        daemon.prepare(program("initdb")?, &words).await?;
        let port = format!("port={}", daemon.address().port());
        let folder = format!("unix_socket_directories={}", daemon.folder().display());
        daemon.words(["-D", "data"]);
        let mut all = vec![
            port.as_str(),
            &folder,
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "shared_buffers=16MB",
        ];
        if let Some(certificate) = certificate {
            daemon.write("cert.pem", &certificate.certificate)?;
            daemon.write("key.pem", &certificate.key)?;
            all.extend([
                "ssl=on",
                "ssl_cert_file=../cert.pem",
                "ssl_key_file=../key.pem",
            ]);
        }
        for setting in all.iter().chain(settings) {
            daemon.words(["-c", setting]);
        }
        daemon.start().await?;
        Ok(Self { daemon, password })
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same with another address, such as that of a [`Gap`](super::Gap).
    #[must_use]
    pub fn url_at(&self, address: std::net::SocketAddr) -> String {
        format!("postgres://postgres:{}@{address}/postgres", self.password)
    }

    /// Runs SQL with `psql` and returns what it prints, bare.
    ///
    /// # Errors
    /// When the SQL fails.
    pub async fn sql(&self, sql: &str) -> crate::Result<String> {
        let url = self.url();
        let words = [url.as_str(), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql];
        let output = tool::run("psql", &words, PATIENCE).await?;
        anyhow::ensure!(
            output.status.success(),
            "psql: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Debian keeps the programs of each version in a folder that is not on `PATH`; the newest is taken.
fn program(name: &str) -> crate::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let debian =
        newest.map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin/{name}")));
    match debian.filter(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => tool::find(name),
    }
}

impl Deref for Postgres {
    type Target = Hosted;

    fn deref(&self) -> &Hosted {
        &self.daemon
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Hosted {
        &mut self.daemon
    }
}
