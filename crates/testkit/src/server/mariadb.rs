//! A MariaDB server.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use super::{Hosted, tool};
use crate::certificate::Certificate;
use crate::wait::PATIENCE;

/// A MariaDB of its own: the user `probe` with a password may do everything in the database `shop`. What it can do as a server is
/// in [`Hosted`].
#[derive(Debug)]
pub struct MariaDb {
    daemon: Hosted,
}

const PASSWORD: &str = "hunter2";

impl MariaDb {
    /// Starts one.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start() -> crate::Result<Self> {
        Self::with(None, &[]).await
    }

    /// Starts one that can speak TLS when there is a `certificate`, with further words of its command line.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn with(certificate: Option<&Certificate>, words: &[&str]) -> crate::Result<Self> {
        let program = tool::find("mariadbd")?;
        let mut daemon = Hosted::new("mariadbd", program, "ready for connections")?;
        let data = format!("--datadir={}", daemon.folder().join("data").display());
        let small = [
            "--no-defaults",
            &data,
            "--innodb-log-file-size=4M",
            "--innodb-buffer-pool-size=8M",
            "--innodb-flush-method=nosync",
        ];
        let mut install = small.to_vec();
        install.extend(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        daemon
            .prepare(tool::find("mariadb-install-db")?, &install)
            .await?;
        let user = format!(
            "CREATE DATABASE IF NOT EXISTS shop; \
             CREATE USER IF NOT EXISTS probe@'%' IDENTIFIED BY '{PASSWORD}'; \
             GRANT ALL ON shop.* TO probe@'%';"
        );
        // It reads one statement from each line.
        daemon.write("init.sql", &user.replace("; ", ";\n"))?;
        daemon.words(small);
        daemon.words([
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--socket=socket",
            "--skip-log-bin",
        ]);
        daemon.words([
            format!("--port={}", daemon.address().port()),
            format!("--init-file={}", daemon.folder().join("init.sql").display()),
        ]);
        if let Some(certificate) = certificate {
            let cert = daemon.write("cert.pem", &certificate.certificate)?;
            let key = daemon.write("key.pem", &certificate.key)?;
            daemon.words([
                format!("--ssl-cert={}", cert.display()),
                format!("--ssl-key={}", key.display()),
            ]);
        }
        daemon.words(words.iter().copied());
        daemon.start().await?;
        Ok(Self { daemon })
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
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
        let socket = format!("--socket={}", self.folder().join("data/socket").display());
        let words = ["--no-defaults", &socket, "-uroot", "-BN", "-e", sql, "shop"];
        let output = tool::run("mariadb", &words, PATIENCE).await?;
        anyhow::ensure!(
            output.status.success(),
            "mariadb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Deref for MariaDb {
    type Target = Hosted;

    fn deref(&self) -> &Hosted {
        &self.daemon
    }
}

impl DerefMut for MariaDb {
    fn deref_mut(&mut self) -> &mut Hosted {
        &mut self.daemon
    }
}
