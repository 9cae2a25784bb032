//! One connection to a Postgres that can only read, driven only while somebody asks.
//!
//! TLS is agreed here and not by the driver, so that the option `ca` and the words for what goes wrong are the same as those of
//! other checks, and so that [`Frames`] sees every message. The price is that a login is not bound to the channel
//! (SCRAM-PLUS); `sslmode=verify-full` protects as well.
//!
//! A query runs inside of a transaction that is read-only and is rolled back. That holds behind a connection pool as well, where
//! a setting of the session would be left to whoever gets the connection next.

use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use seaworthy_core::dsn::Dsn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::frame::{Frames, Nonsense};
use super::words::trouble;
use crate::probe::Fault;
use crate::probe::bounded::{Allowance, Bounded};
use crate::probe::kept::Place;
use crate::probe::sql::one_statement;
use crate::probe::stream::{Stream, Target};
use crate::probe::tls::Proof;
use crate::probe::trouble::Trouble;

/// The schemes of its URLs, with those of the Python drivers that are often found in `DATABASE_URL`.
pub(crate) const SCHEMES: &[&str] = &[
    "postgres",
    "postgresql",
    "postgresql+asyncpg",
    "postgresql+psycopg",
    "postgresql+psycopg2",
    "postgresql+pg8000",
];

const PORT: u16 = 5432;

/// How the URL wants the connection to be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    None,
    /// As libpq does when nothing is said: when the server can.
    IfPossible,
    Tls(Proof),
}

fn protection(url: &Dsn, has_ca: bool) -> Option<Protection> {
    let mode = url.parameter("sslmode").or_else(|| url.parameter("ssl"));
    Some(match mode.as_deref() {
        None | Some("prefer" | "allow") => Protection::IfPossible,
        Some("disable" | "false") => Protection::None,
        // As libpq does: a file of authorities is there to be used.
        Some("require" | "true") if has_ca => Protection::Tls(Proof::Signed),
        Some("require" | "true") => Protection::Tls(Proof::Nothing),
        Some("verify-ca") => Protection::Tls(Proof::Signed),
        Some("verify-full") => Protection::Tls(Proof::Full),
        Some(_) => return None,
    })
}

/// What is wrong with the URL beyond what is common to all.
pub(crate) fn judge(url: &Dsn, faults: &mut Vec<Fault>) {
    if protection(url, false).is_none() {
        let message = "`sslmode` is none that Postgres has";
        let help = "write `disable`, `prefer`, `require`, `verify-ca` or `verify-full`";
        faults.push(Fault::new("url", message, help));
    }
}

/// No answer that a check has a use for has a longer message.
const LONGEST: usize = 1 << 20;

/// A connection that nobody drives yet.
pub(super) type Raw = tokio_postgres::Connection<Frames<Bounded<Stream>>, NoTlsStream>;

/// Where a Postgres is.
pub(crate) struct Server {
    url: Dsn,
    target: Target,
    protection: Protection,
    /// It takes no options at the start.
    takes_no_options: AtomicBool,
}

impl Server {
    pub(crate) fn new(url: &Dsn, ca: Option<PathBuf>) -> Self {
        let protection = protection(url, ca.is_some()).unwrap_or(Protection::None);
        let mut target = Target::new(url, PORT, false, ca);
        target.trust.proof = match protection {
            Protection::Tls(proof) => proof,
            Protection::None | Protection::IfPossible => Proof::Nothing,
        };
        Self {
            url: url.clone(),
            target,
            protection,
            takes_no_options: AtomicBool::new(false),
        }
    }

    /// One that may write as well.
    pub(super) fn of_writer(url: &Dsn, ca: Option<PathBuf>) -> Self {
        let server = Self::new(url, ca);
        server.takes_no_options.store(true, Ordering::Relaxed);
        server
    }

    async fn connect(&self) -> Result<Session, Trouble> {
        let (allowance, nonsense) = (Allowance::new(), Nonsense::default());
        let (client, connection) = self.log_in(LONGEST, &allowance, &nonsense).await?;
        let version = connection.parameter("server_version");
        let version = version.and_then(crate::probe::version).map(str::to_owned);
        Ok(Session {
            client,
            connection: Box::pin(connection),
            version,
            allowance,
            nonsense,
        })
    }

    async fn stream(&self) -> Result<Stream, Trouble> {
        let mut tcp = self.target.connect_plain().await?;
        if self.protection == Protection::None {
            Ok(Box::new(tcp))
        } else if may_encrypt(&mut tcp).await? {
            Ok(self.target.secure(tcp).await?)
        } else if self.protection == Protection::IfPossible {
            Ok(Box::new(tcp))
        } else {
            Err(Trouble::says("it does not offer TLS"))
        }
    }

    /// Connects and logs in, for messages of at most `longest` bytes.
    pub(super) async fn log_in(
        &self,
        longest: usize,
        allowance: &Allowance,
        nonsense: &Nonsense,
    ) -> Result<(Client, Raw), Trouble> {
        let stream = Bounded::new(self.stream().await?, allowance.clone());
        let stream = Frames::new(stream, longest, nonsense.clone());
        let opened = self.config().connect_raw(stream, NoTls).await;
        opened.map_err(|error| {
            if nonsense.was_seen() || allowance.is_used_up() {
                return Trouble::Foreign;
            }
            trouble(&error)
        })
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .user(self.url.user().unwrap_or_else(|| "postgres".to_owned()))
            .application_name("seaworthy");
        if let Some(password) = self.url.password() {
            config.password(password);
        }
        let database = self.url.name();
        if !database.is_empty() {
            config.dbname(database);
        }
        if !self.takes_no_options.load(Ordering::Relaxed) {
            config.options("-c default_transaction_read_only=on");
        }
        config
    }
}

/// Asks whether the server can speak TLS; it answers with one letter.
async fn may_encrypt(tcp: &mut TcpStream) -> Result<bool, Trouble> {
    const PLEASE: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    tcp.write_all(&PLEASE).await?;
    match tcp.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        _ => Err(Trouble::Foreign),
    }
}

impl Place for Server {
    type Session = Session;

    const TONGUE: &'static str = "Postgres";

    async fn open(&self) -> Result<Session, Trouble> {
        match self.connect().await {
            // PgBouncer refuses options. What they guard against is guarded by the transaction as well.
            Err(Trouble::Denied(_)) if !self.takes_no_options.swap(true, Ordering::Relaxed) => {
                self.connect().await
            }
            connected => connected,
        }
    }

    fn renew(session: &mut Session) {
        session.allowance.renew();
    }
}

/// The rows that a query returned.
pub(crate) type Rows = Vec<SimpleQueryRow>;

/// An open connection.
pub(crate) struct Session {
    client: Client,
    connection: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
    version: Option<String>,
    allowance: Allowance,
    nonsense: Nonsense,
}

impl Session {
    /// The version of the server.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Runs queries of one statement each, all in one exchange, and returns the rows of each.
    pub(crate) async fn read(&mut self, queries: &[&str]) -> Result<Vec<Rows>, Trouble> {
        let mut all =
            String::from("START TRANSACTION READ ONLY;SET LOCAL statement_timeout=30000;");
        let major = self.version().and_then(|version| version.split('.').next());
        let major: Option<u32> = major.and_then(|major| major.parse().ok());
        // Otherwise a query that was given up would run on, beside the next one.
        all.push_str(match major {
            Some(14..) => "SET LOCAL client_connection_check_interval=500;",
            _ => "SET LOCAL application_name='seaworthy';",
        });
        for query in queries {
            all.push_str(one_statement(query));
            // The line may end with a comment.
            all.push_str("\n;");
        }
        all.push_str("ROLLBACK");
        let mut results = self.exchange(&all).await?.into_iter().skip(3);
        let results: Vec<Rows> = results.by_ref().take(queries.len()).collect();
        if results.len() == queries.len() {
            Ok(results)
        } else {
            Err(Trouble::Foreign)
        }
    }

    async fn exchange(&mut self, queries: &str) -> Result<Vec<Rows>, Trouble> {
        let mut asking = pin!(self.client.simple_query(queries));
        let answer = tokio::select! {
            biased;
            answer = &mut asking => Some(answer),
            // It ends with the connection, and may have left an answer.
            end = &mut self.connection => match (asking.now_or_never(), end) {
                (Some(Ok(answer)), _) => Some(Ok(answer)),
                (_, Err(error)) => Some(Err(error)),
                (answer, Ok(())) => answer,
            },
        };
        // It has logged us in, so a message that is too long is a long row.
        if self.nonsense.was_seen() || self.allowance.is_used_up() {
            return Err(Trouble::says("the query returns too much"));
        }
        match answer {
            Some(Ok(messages)) => Ok(results(messages)),
            Some(Err(error)) => Err(trouble(&error)),
            None => Err(Trouble::ended()),
        }
    }
}

/// The rows of each statement.
fn results(messages: Vec<SimpleQueryMessage>) -> Vec<Rows> {
    let mut results = Vec::new();
    let mut rows = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => rows.push(row),
            SimpleQueryMessage::CommandComplete(_) => results.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    results
}
