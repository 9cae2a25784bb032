//! Where the Redis is, and how a connection is made.

use std::fmt;
use std::io;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// What connections are called in `CLIENT LIST`.
const NAME: &str = "seaworthy";

/// Where the Redis is, and who we are to it.
#[derive(Clone, Default)]
pub struct Target {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS, if it speaks it.
    pub tls: Option<Arc<ClientConfig>>,
    /// The user, if another than the default one.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The number of the database.
    pub database: i64,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}:{})", self.host, self.port)
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Target {
    /// Connects and logs in. The connection is driven by a task of its own, which ends with the last handle.
    pub(crate) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let mut login = RedisConnectionInfo::default()
            .set_skip_set_lib_name()
            .set_db(self.database);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        // Every question has a deadline of its own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let stream = self.stream().await.map_err(RedisError::from)?;
        let opened = MultiplexedConnection::new_with_config(&login, stream, config).await;
        let (mut connection, driver) = opened?;
        tokio::spawn(driver);
        let mut name = redis::cmd("CLIENT");
        name.arg("SETNAME").arg(NAME);
        // A user who may not say his name may still count.
        let named: RedisResult<()> = name.query_async(&mut connection).await;
        named.or_else(|error| {
            let lost = super::script::is_lost(&error);
            if lost { Err(error) } else { Ok(()) }
        })?;
        Ok(connection)
    }

    async fn stream(&self) -> io::Result<Box<dyn Duplex>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let secure = TlsConnector::from(tls.clone()).connect(name, stream);
        Ok(Box::new(secure.await?))
    }
}
