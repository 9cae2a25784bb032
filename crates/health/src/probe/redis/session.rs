//! One connection to a Redis, driven only while somebody asks.
//!
//! The driver's connection is a future that has to be polled beside each question. Nothing is spawned: when a run is dropped,
//! the connection is gone with it.

use std::path::PathBuf;
use std::pin::{Pin, pin};

use futures_util::FutureExt as _;
use redis::ServerErrorKind;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError,
};
use seaworthy_core::dsn::Dsn;

use crate::probe::Fault;
use crate::probe::bounded::{Allowance, Bounded};
use crate::probe::kept::Place;
use crate::probe::stream::Target;
use crate::probe::trouble::Trouble;

/// The schemes of its URLs.
pub(crate) const SCHEMES: &[&str] = &["redis", "rediss", "valkey", "valkeys"];

const PORT: u16 = 6379;

/// What it says, without being asked and without a code, when there is no room for another connection.
const FULL: &[u8] = b"-ERR max number of clients";

fn trouble(error: &RedisError, allowance: &Allowance) -> Trouble {
    if allowance.is_used_up() {
        return Trouble::Foreign;
    }
    if allowance.began_with(FULL) {
        return full();
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => Trouble::says(login(error.code())),
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Trouble::Denied("its user may not ask that (NOPERM)".to_owned())
        }
        ErrorKind::Server(ServerErrorKind::BusyLoading) => {
            Trouble::says("it is still loading its data (LOADING)")
        }
        ErrorKind::Server(ServerErrorKind::MasterDown) => {
            Trouble::says("it is a replica without its primary (MASTERDOWN)")
        }
        ErrorKind::Server(_) | ErrorKind::Extension => Trouble::says(refused(error)),
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Trouble::Foreign,
        _ if error.is_io_error() || error.is_connection_dropped() => Trouble::ended(),
        _ => Trouble::Foreign,
    }
}

fn full() -> Trouble {
    Trouble::says("it has too many connections")
}

fn login(code: Option<&str>) -> &'static str {
    match code {
        Some("NOAUTH") => "it asks for a password (NOAUTH)",
        _ => "it refuses the user or the password (WRONGPASS)",
    }
}

fn refused(error: &RedisError) -> String {
    match error.code() {
        Some("NOAUTH") => login(Some("NOAUTH")).to_owned(),
        Some("WRONGPASS") => login(None).to_owned(),
        // Redis has no code for it.
        Some("ERR") if error.detail().is_some_and(|text| text.contains("DB index")) => {
            "it has no database of that number".to_owned()
        }
        Some(code) if is_code(code) => format!("it answered with an error ({code})"),
        _ => "it answered with an error".to_owned(),
    }
}

/// Whether it looks like the codes that Redis has, so that nothing else is shown.
fn is_code(code: &str) -> bool {
    code.len() <= 20 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Finds a database that is no number.
pub(crate) fn judge_database(option: &'static str, url: &Dsn, faults: &mut Vec<Fault>) {
    let name = url.name();
    if !name.is_empty() && name.parse::<u16>().is_err() {
        let message = "the databases of Redis are numbers".to_owned();
        faults.push(Fault::new(option, message, "write `redis://host:6379/0`"));
    }
}

/// Where a Redis is.
pub(crate) struct Server {
    url: Dsn,
    target: Target,
}

impl Server {
    pub(crate) fn new(url: &Dsn, ca: Option<PathBuf>) -> Self {
        let tls = matches!(url.scheme(), "rediss" | "valkeys");
        Self {
            url: url.clone(),
            target: Target::new(url, PORT, tls, ca),
        }
    }
}

impl Place for Server {
    type Session = Session;

    const TONGUE: &'static str = "Redis";

    async fn open(&self) -> Result<Session, Trouble> {
        let allowance = Allowance::new();
        let stream = Bounded::new(self.target.connect().await?, allowance.clone());
        // What the library says of itself would be one more thing that a user without rights is refused.
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(user) = self.url.user() {
            login = login.set_username(user);
        }
        if let Some(password) = self.url.password() {
            login = login.set_password(password);
        }
        if let Ok(database) = self.url.name().parse() {
            login = login.set_db(database);
        }
        // The engine knows the timeout of the check; a second one would only word it differently.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&login, stream, config).await;
        let (connection, driver) = opened.map_err(|error| trouble(&error, &allowance))?;
        Ok(Session {
            connection,
            driver: Box::pin(driver),
            allowance,
        })
    }

    fn renew(session: &mut Session) {
        session.allowance.renew();
    }
}

/// An open connection.
pub(crate) struct Session {
    connection: MultiplexedConnection,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    allowance: Allowance,
}

impl Session {
    /// Sends a command and reads its answer.
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Trouble> {
        let mut asking = pin!(command.query_async::<T>(&mut self.connection));
        let answer = tokio::select! {
            biased;
            answer = &mut asking => Some(answer),
            // It ends with the connection, and may have left an answer.
            () = &mut self.driver => asking.now_or_never(),
        };
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(trouble(&error, &self.allowance)),
            None if self.allowance.began_with(FULL) => Err(full()),
            None => Err(Trouble::ended()),
        }
    }
}
