//! A connection to one broker: versions, login, requests and their answers.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Buf as _;
use seaworthy_core::dsn::Dsn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::answer::{Answer, LONGEST};
use super::wire::{Writer, list};
use crate::probe::stream::{Socket, Target, read_bytes};
use crate::probe::tls::Trust;
use crate::probe::trouble::Trouble;

/// A request: its name for messages, its number and the version in which we speak it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api {
    name: &'static str,
    key: i16,
    version: i16,
}

pub(super) const METADATA: Api = api("Metadata", 3, 4);
pub(super) const FIND_COORDINATOR: Api = api("FindCoordinator", 10, 1);
pub(super) const OFFSET_FETCH: Api = api("OffsetFetch", 9, 3);
pub(super) const LIST_OFFSETS: Api = api("ListOffsets", 2, 2);
pub(super) const PRODUCE: Api = api("Produce", 0, 3);
pub(super) const FETCH: Api = api("Fetch", 1, 4);
const API_VERSIONS: Api = api("ApiVersions", 18, 0);
const SASL_HANDSHAKE: Api = api("SaslHandshake", 17, 1);
const SASL_AUTHENTICATE: Api = api("SaslAuthenticate", 36, 0);

/// What is kept of the versions that a broker speaks.
const USED: [Api; 8] = [
    PRODUCE,
    FETCH,
    METADATA,
    FIND_COORDINATOR,
    OFFSET_FETCH,
    LIST_OFFSETS,
    SASL_HANDSHAKE,
    SASL_AUTHENTICATE,
];

const fn api(name: &'static str, key: i16, version: i16) -> Api {
    Api { name, key, version }
}

/// How to log in.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// How to get in, the same for all brokers of a cluster.
pub(super) struct Access {
    pub(super) tls: bool,
    pub(super) trust: Trust,
    pub(super) login: Option<Login>,
    /// Where no check may go.
    pub(super) own: Vec<SocketAddr>,
}

impl Access {
    /// Connects, asks what is spoken, and logs in.
    pub(super) async fn open(
        self: &Arc<Self>,
        host: &str,
        port: u16,
    ) -> Result<Connection, Trouble> {
        let target = Target {
            host: host.to_owned(),
            port,
            tls: self.tls,
            trust: self.trust.clone(),
        };
        let mut connection = Connection {
            socket: BufReader::new(target.connect().await?),
            access: self.clone(),
            sent: 0,
            spoken: Vec::new(),
        };
        let answer = connection.send(API_VERSIONS, Writer::default()).await?;
        let mut answer = answer.as_slice();
        if answer.try_get_i16()? != 0 {
            return Err(Trouble::Foreign);
        }
        let mut spoken = list(&mut answer, |one| {
            Ok((one.try_get_i16()?, one.try_get_i16()?, one.try_get_i16()?))
        })?;
        spoken.retain(|(key, ..)| USED.iter().any(|api| api.key == *key));
        spoken.shrink_to_fit();
        connection.spoken = spoken;
        if let Some(login) = &self.login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    /// Connects to a broker that another one named. Nobody may send us to where no check may go.
    pub(super) async fn follow(
        self: &Arc<Self>,
        host: &str,
        port: u16,
    ) -> Result<Connection, Trouble> {
        let host_in_url = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let url = format!("kafka://{host_in_url}:{port}").parse::<Dsn>();
        if !url.is_ok_and(|url| url.forbidden(&self.own).is_none()) {
            let why = "a broker names an address where no check may go";
            return Err(Trouble::says(why));
        }
        self.open(host, port).await
    }
}

/// An open connection.
pub(crate) struct Connection {
    socket: Socket,
    pub(super) access: Arc<Access>,
    /// How many requests were sent.
    sent: i32,
    spoken: Vec<(i16, i16, i16)>,
}

impl Connection {
    /// Whether nothing was asked yet, and nobody has logged in.
    pub(super) fn is_untried(&self) -> bool {
        self.sent == 1
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Trouble> {
        let answer = self
            .ask(SASL_HANDSHAKE, Writer::default().text("PLAIN"))
            .await?;
        match answer.as_slice().try_get_i16()? {
            0 => {}
            33 => {
                return Err(Trouble::says("it does not offer to log in with PLAIN (33)"));
            }
            // It listens without SASL.
            34 => {
                let why = "it does not let anybody log in at this port (34)";
                return Err(Trouble::says(why));
            }
            code => return Err(Trouble::says(format!("it does not begin a login ({code})"))),
        }
        let Login { user, password } = login;
        let token = format!("\0{user}\0{password}");
        let request = Writer::default().bytes(token.as_bytes());
        let answer = self.ask(SASL_AUTHENTICATE, request).await?;
        match answer.as_slice().try_get_i16()? {
            0 => Ok(()),
            code => Err(Trouble::says(format!(
                "it refuses the user or the password ({code})"
            ))),
        }
    }

    /// Sends a request and returns the answer after its head.
    pub(super) async fn ask(&mut self, api: Api, body: Writer) -> Result<Vec<u8>, Trouble> {
        self.speaks(api)?;
        self.send(api, body).await
    }

    /// Sends a request and returns its answer unread, for those that may be longer than anybody wants to hold.
    pub(super) async fn begin(&mut self, api: Api, body: Writer) -> Result<Answer<'_>, Trouble> {
        self.speaks(api)?;
        let length = self.exchange(api, body).await?;
        Ok(Answer::new(&mut self.socket, length))
    }

    fn speaks(&self, api: Api) -> Result<(), Trouble> {
        let spoken = self.spoken.iter().find(|(key, ..)| *key == api.key);
        if !spoken.is_some_and(|(_, least, most)| (*least..=*most).contains(&api.version)) {
            let Api { name, version, .. } = api;
            return Err(Trouble::says(format!(
                "it does not speak version {version} of {name}"
            )));
        }
        Ok(())
    }

    async fn send(&mut self, api: Api, body: Writer) -> Result<Vec<u8>, Trouble> {
        let length = self.exchange(api, body).await?;
        read_bytes(&mut self.socket, length).await
    }

    /// Sends a request, reads the head of its answer, and returns how much is left of that.
    async fn exchange(&mut self, api: Api, body: Writer) -> Result<usize, Trouble> {
        self.sent = self.sent.wrapping_add(1);
        let head = Writer::default().short(api.key).short(api.version);
        let mut request = head.int(self.sent).text("seaworthy");
        request.0.extend(body.0);
        self.socket
            .write_all(&Writer::default().bytes(&request.0).0)
            .await?;
        self.socket.flush().await?;
        let length =
            usize::try_from(self.socket.read_i32().await?).map_err(|_| Trouble::Foreign)?;
        // The number of the request is checked before its answer is read: what is no Kafka shall not be read for long.
        let is_long = length > LONGEST && api.key != FETCH.key;
        if length < 4 || is_long || self.socket.read_i32().await? != self.sent {
            return Err(Trouble::Foreign);
        }
        Ok(length - 4)
    }
}
