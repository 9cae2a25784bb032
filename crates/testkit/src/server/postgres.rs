//! A PostgreSQL server.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::daemon::{Daemon, Ready};
use super::tool;

/// A Postgres of its own: the user `postgres`, the database `postgres`, no care for its disk.
#[derive(Debug)]
pub struct Postgres {
    pub(super) daemon: Daemon,
}

const PASSWORD: &str = "hunter2";

impl Postgres {
    /// Starts one that asks for a password.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one that can speak TLS.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_tls() -> crate::Result<Self> {
        Self::start_with(&["ssl=on"]).await
    }

    /// Starts one with further settings, such as `max_connections=5`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_with(settings: &[&str]) -> crate::Result<Self> {
        let ready = Ready::Says("database system is ready to accept connections");
        let mut daemon = Daemon::new("postgres", &program("postgres")?, ready)?.never_root()?;
        daemon.certify()?;
        let mut install = daemon.beside(program("initdb")?);
        install.args(["--pgdata=data", "--username=postgres", "--no-sync"]);
        install.args(["--auth=scram-sha-256", "--encoding=UTF8", "--pwfile"]);
        install.arg(daemon.write("password", PASSWORD)?);
        tool::printed(install).await?;
        let own = [
            format!("port={}", daemon.address().port()),
            format!("unix_socket_directories={}", daemon.folder().display()),
        ];
        let always = [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "shared_buffers=16MB",
            "ssl_cert_file=../cert.pem",
            "ssl_key_file=../key.pem",
        ];
        let command = daemon.command();
        command.args(["-D", "data"]);
        let own = own.iter().map(String::as_str);
        for setting in own.chain(always).chain(settings.iter().copied()) {
            command.args(["-c", setting]);
        }
        daemon.start().await?;
        Ok(Self { daemon })
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.daemon.address())
    }

    /// The same with another address, such as that of a [`Gap`](super::Gap).
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://postgres:{PASSWORD}@{address}/postgres")
    }

    /// Runs SQL with `psql` and returns what it prints, bare.
    ///
    /// # Errors
    /// When the SQL fails.
    pub async fn sql(&self, sql: &str) -> crate::Result<String> {
        let mut psql = self.daemon.beside(tool::find("psql")?);
        psql.arg(self.url());
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        tool::printed(psql).await
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
