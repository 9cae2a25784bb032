//! A MariaDB server.

use std::net::SocketAddr;

use super::daemon::{Daemon, Ready};
use super::tool;

/// A MariaDB of its own: the user `probe` with a password may do everything in the database `shop`.
#[derive(Debug)]
pub struct MariaDb {
    pub(super) daemon: Daemon,
}

const PASSWORD: &str = "hunter2";

impl MariaDb {
    /// Starts one.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts one that speaks TLS only.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_tls() -> crate::Result<Self> {
        Self::start_with(&[
            "--ssl-cert=../cert.pem",
            "--ssl-key=../key.pem",
            "--require-secure-transport=ON",
        ])
        .await
    }

    /// Starts one with further words of its command line.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start_with(words: &[&str]) -> crate::Result<Self> {
        let ready = Ready::Says("ready for connections");
        let mut daemon = Daemon::new("mariadbd", &tool::find("mariadbd")?, ready)?.never_root()?;
        daemon.certify()?;
        let data = format!("--datadir={}", daemon.folder().join("data").display());
        let small = [
            "--no-defaults",
            &data,
            "--innodb-log-file-size=4M",
            "--innodb-buffer-pool-size=8M",
            "--innodb-flush-method=nosync",
        ];
        let mut install = daemon.beside(tool::find("mariadb-install-db")?);
        install.args(small);
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        tool::printed(install).await?;
        // It reads one statement from each line.
        let user = format!(
            "CREATE DATABASE IF NOT EXISTS shop;\n\
             CREATE USER IF NOT EXISTS probe@'%' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON shop.* TO probe@'%';\n"
        );
        let init = daemon.write("init.sql", &user)?;
        let port = daemon.address().port();
        let command = daemon.command();
        command
            .args(small)
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--socket=socket", "--skip-log-bin"])
            .arg(format!("--port={port}"))
            .arg(format!("--init-file={}", init.display()))
            .args(words);
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
        format!("mysql://probe:{PASSWORD}@{address}/shop")
    }

    /// Runs SQL as root and returns what the client prints, bare.
    ///
    /// # Errors
    /// When the SQL fails.
    pub async fn sql(&self, sql: &str) -> crate::Result<String> {
        let mut client = self.daemon.beside(tool::find("mariadb")?);
        client.args(["--no-defaults", "--socket=data/socket", "-uroot", "-BN"]);
        client.args(["-e", sql, "shop"]);
        tool::printed(client).await
    }
}
