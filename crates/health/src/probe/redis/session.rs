//! One connection to a Redis, driven only while somebody asks.
//!
//! The driver's connection is a future that has to be polled beside each question. Nothing is spawned: when a run is dropped,
//! the connection is gone with it.

use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};

use futures_util::FutureExt as _;
use redis::ServerErrorKind;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError,
};
use seaworthy_core::dsn::Dsn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::Outcome;
use crate::probe::bounded::{Allowance, Bounded};
use crate::probe::kept::Place;
use crate::probe::tls::{self, Proof};
use crate::probe::{Fault, unreachable};

/// The schemes of its URLs.
pub(crate) const SCHEMES: &[&str] = &["redis", "rediss", "valkey", "valkeys"];

const PORT: u16 = 6379;

/// What it says, without being asked and without a code, when there is no room for another connection.
const FULL: &[u8] = b"-ERR max number of clients";

/// Why a question was not answered.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no connection, in words that say why.
    Unreachable(Outcome),
    /// The connection ended.
    Lost,
    /// It sent something that is no answer.
    NotRedis,
    /// It answers, and this user may not ask that.
    NotAllowed,
    /// It answered with an error, in words of ours.
    Refused(String),
}

impl Trouble {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Unreachable(outcome) => outcome,
            Self::Lost => Outcome::unhealthy("it ended the connection"),
            Self::NotRedis => Outcome::unhealthy("it does not speak Redis"),
            Self::NotAllowed => Outcome::unhealthy("its user may not ask that (NOPERM)"),
            Self::Refused(why) => Outcome::unhealthy(why),
        }
    }

    fn of(error: &RedisError, allowance: &Allowance) -> Self {
        if allowance.is_used_up() {
            return Self::NotRedis;
        }
        if allowance.began_with(FULL) {
            return Self::full();
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Refused(login(error.code())),
            ErrorKind::Server(ServerErrorKind::NoPerm) => Self::NotAllowed,
            ErrorKind::Server(ServerErrorKind::BusyLoading) => {
                Self::Refused("it is still loading its data (LOADING)".to_owned())
            }
            ErrorKind::Server(ServerErrorKind::MasterDown) => {
                Self::Refused("it is a replica without its primary (MASTERDOWN)".to_owned())
            }
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Refused(refused(error)),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::NotRedis,
            _ if error.is_io_error() || error.is_connection_dropped() => Self::Lost,
            _ => Self::NotRedis,
        }
    }
}

impl Trouble {
    fn full() -> Self {
        Self::Refused("it has too many connections".to_owned())
    }
}

fn login(code: Option<&str>) -> String {
    match code {
        Some("NOAUTH") => "it asks for a password (NOAUTH)",
        _ => "it refuses the user or the password (WRONGPASS)",
    }
    .to_owned()
}

fn refused(error: &RedisError) -> String {
    match error.code() {
        Some("NOAUTH") => login(Some("NOAUTH")),
        Some("WRONGPASS") => login(None),
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
    pub(crate) url: Dsn,
    pub(crate) ca: Option<PathBuf>,
}

impl Place for Server {
    type Session = Session;
    type Trouble = Trouble;

    async fn open(&self) -> Result<Session, Trouble> {
        Session::open(&self.url, self.ca.as_deref()).await
    }

    fn renew(session: &mut Session) {
        session.allowance.renew();
    }

    fn is_lost(trouble: &Trouble) -> bool {
        matches!(trouble, Trouble::Lost)
    }

    fn outcome(trouble: Trouble) -> Outcome {
        trouble.outcome()
    }
}

/// An open connection.
pub(crate) struct Session {
    connection: MultiplexedConnection,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    allowance: Allowance,
}

impl Session {
    async fn open(url: &Dsn, ca: Option<&Path>) -> Result<Self, Trouble> {
        let (host, port) = (url.host(), url.port_or(PORT));
        let tcp = TcpStream::connect((host.as_str(), port)).await;
        let tcp = tcp.map_err(|error| Trouble::Unreachable(unreachable(&error)))?;
        tcp.set_nodelay(true).ok();
        if matches!(url.scheme(), "rediss" | "valkeys") {
            let secured = tls::secure(tcp, &host, Proof::Full, ca).await;
            Self::over(secured.map_err(Trouble::Refused)?, url).await
        } else {
            Self::over(tcp, url).await
        }
    }

    async fn over<S>(stream: S, url: &Dsn) -> Result<Self, Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let allowance = Allowance::new();
        let stream = Bounded::new(stream, allowance.clone());
        // What the library says of itself would be one more thing that a user without rights is refused.
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(user) = url.user() {
            login = login.set_username(user);
        }
        if let Some(password) = url.password() {
            login = login.set_password(password);
        }
        if let Ok(database) = url.name().parse() {
            login = login.set_db(database);
        }
        // The engine knows the timeout of the check; a second one would only word it differently.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&login, stream, config).await;
        let (connection, driver) = opened.map_err(|error| Trouble::of(&error, &allowance))?;
        Ok(Self {
            connection,
            driver: Box::pin(driver),
            allowance,
        })
    }

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
            Some(Err(error)) => Err(Trouble::of(&error, &self.allowance)),
            None if self.allowance.began_with(FULL) => Err(Trouble::full()),
            None => Err(Trouble::Lost),
        }
    }
}
