//! One connection to a MySQL.
//!
//! The driver opens its connection itself, so the bounds are its own: a packet of at most 1 MiB (4 MiB before the login), and as
//! many rows as we take.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use seaworthy_core::dsn::Dsn;

use super::words::{trouble, trouble_of_query};
use crate::probe::Fault;
use crate::probe::kept::Place;
use crate::probe::tls::{self, Proof};
use crate::probe::trouble::{Trouble, unreachable};

/// The schemes of its URLs, with those of the Python drivers that are often found in `DATABASE_URL`.
pub(super) const SCHEMES: &[&str] = &[
    "mysql",
    "mariadb",
    "mysql2",
    "mysql+pymysql",
    "mysql+aiomysql",
    "mysql+asyncmy",
    "mysql+mysqldb",
    "mariadb+pymysql",
];

const PORT: u16 = 3306;

/// More than any check has a use for.
const MOST_ROWS: usize = 1000;

const LONGEST_PACKET: usize = 1 << 20;

/// Time for saying goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What is asked of a certificate; `Some(None)` is no TLS, `None` a word that means nothing.
fn proof(url: &Dsn, has_ca: bool) -> Option<Option<Proof>> {
    let mode = ["ssl-mode", "ssl_mode", "sslmode"];
    let mode = mode.iter().find_map(|name| url.parameter(name));
    let mode = mode.map(|mode| mode.to_ascii_uppercase().replace('-', "_"));
    Some(match mode.as_deref() {
        None | Some("DISABLED" | "DISABLE" | "PREFERRED" | "PREFER") => None,
        Some("REQUIRED" | "REQUIRE") if has_ca => Some(Proof::Signed),
        Some("REQUIRED" | "REQUIRE") => Some(Proof::Nothing),
        Some("VERIFY_CA") => Some(Proof::Signed),
        Some("VERIFY_IDENTITY" | "VERIFY_FULL") => Some(Proof::Full),
        Some(_) => return None,
    })
}

/// What is wrong with the URL beyond what is common to all.
pub(super) fn judge(url: &Dsn, faults: &mut Vec<Fault>) {
    if proof(url, false).is_none() {
        let message = "`ssl-mode` is none that MySQL has";
        let help = "write `DISABLED`, `REQUIRED`, `VERIFY_CA` or `VERIFY_IDENTITY`";
        faults.push(Fault::new("url", message, help));
    }
}

/// Where a MySQL is.
pub(super) struct Server {
    pub(super) url: Dsn,
    pub(super) ca: Option<PathBuf>,
}

impl Server {
    async fn options(&self) -> Result<Opts, Trouble> {
        let (host, port) = (self.url.host(), self.url.port_or(PORT));
        // Here, because afterwards it cannot be told from other troubles.
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        let found = found.map_err(|error| unreachable(&error))?;
        let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        let database = self.url.name();
        let options = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .resolved_ips(Some(addresses))
            .user(self.url.user())
            .pass(self.url.password())
            .db_name((!database.is_empty()).then_some(database))
            .ssl_opts(self.tls().await?)
            .prefer_socket(false)
            // Both are asked of the server otherwise.
            .max_allowed_packet(Some(LONGEST_PACKET))
            .wait_timeout(Some(28_800))
            .stmt_cache_size(0)
            .connect_attribute("program_name", "seaworthy");
        Ok(options.into())
    }

    async fn tls(&self) -> Result<Option<SslOpts>, Trouble> {
        let Some(proof) = proof(&self.url, self.ca.is_some()).flatten() else {
            return Ok(None);
        };
        let mut options = SslOpts::default()
            .with_danger_accept_invalid_certs(proof == Proof::Nothing)
            .with_danger_skip_domain_validation(proof != Proof::Full);
        if let Some(path) = &self.ca {
            let pem = tokio::fs::read(path).await;
            let pem = pem.map_err(|_| tls::unreadable())?;
            options = options
                .with_root_certs(vec![pem.into()])
                .with_disable_built_in_roots(true);
        }
        Ok(Some(options))
    }
}

impl Place for Server {
    type Session = Session;

    const TONGUE: &'static str = "MySQL";

    async fn open(&self) -> Result<Session, Trouble> {
        let options = self.options().await?;
        let opened = Conn::new(options).await;
        let connection = opened.map_err(|error| trouble(&error))?;
        let mut session = Session(Some(connection));
        // Of the session and not of a transaction: a DROP TABLE would end that first.
        session.run("SET SESSION TRANSACTION READ ONLY").await?;
        Ok(session)
    }

    fn is_stale(trouble: &Trouble) -> bool {
        // What a server says before it ends an idle connection is out of turn.
        matches!(trouble, Trouble::Io(_) | Trouble::Foreign)
    }
}

/// An open connection. Dropping it ends it, also when the server does not listen: left to itself, the driver would read the rest
/// of an answer first, however long that is.
pub(super) struct Session(Option<Conn>);

impl Session {
    /// The version of the server.
    pub(super) fn version(&self) -> Option<String> {
        let (major, minor, patch) = self.0.as_ref()?.server_version();
        (major > 0).then(|| format!("{major}.{minor}.{patch}"))
    }

    /// Runs a statement and reads its rows to their end.
    pub(super) async fn run(&mut self, statement: &str) -> Result<(), Trouble> {
        let connection = self.0.as_mut().ok_or_else(Trouble::ended)?;
        let mut result = match connection.query_iter(statement).await {
            Ok(result) => result,
            Err(error) => return Err(trouble_of_query(&error)),
        };
        let mut rows = 0;
        loop {
            match result.next().await {
                Ok(Some(_)) if rows == MOST_ROWS => {
                    return Err(Trouble::says("the query returns too much"));
                }
                Ok(Some(_)) => rows += 1,
                Ok(None) => return Ok(()),
                Err(error) => return Err(trouble_of_query(&error)),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.0.take() else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(GOODBYE, connection.disconnect()));
        }
    }
}
