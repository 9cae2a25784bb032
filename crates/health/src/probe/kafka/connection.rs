//! A connection to one broker: versions, login, requests and their answers.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::socket::{self, Security, Socket, Trouble};
use super::wire::{Reader, Writer};

/// No answer may be longer: it is enough for a topic of fifty thousand partitions.
const LONGEST: usize = 4 * 1024 * 1024;

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
const API_VERSIONS: Api = api("ApiVersions", 18, 0);
const SASL_HANDSHAKE: Api = api("SaslHandshake", 17, 1);
const SASL_AUTHENTICATE: Api = api("SaslAuthenticate", 36, 0);

/// What is kept of the versions that a broker speaks.
const USED: [Api; 6] = [
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

/// An open connection.
pub(super) struct Connection {
    socket: Socket,
    next: i32,
    spoken: Vec<(i16, i16, i16)>,
}

impl Connection {
    /// Connects, asks what is spoken, and logs in.
    pub(super) async fn open(
        host: &str,
        port: u16,
        security: &Security,
        login: Option<&Login>,
    ) -> Result<Self, Trouble> {
        let mut connection = Self {
            socket: socket::connect(host, port, security).await?,
            next: 0,
            spoken: Vec::new(),
        };
        let answer = connection.send(API_VERSIONS, Writer::default()).await?;
        let mut answer = Reader(&answer);
        if answer.short()? != 0 {
            return Err(Trouble::Foreign);
        }
        let mut spoken = answer.list(|one| Ok((one.short()?, one.short()?, one.short()?)))?;
        spoken.retain(|(key, ..)| USED.iter().any(|api| api.key == *key));
        spoken.shrink_to_fit();
        connection.spoken = spoken;
        if let Some(login) = login {
            connection.log_in(login).await?;
        }
        Ok(connection)
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), Trouble> {
        let answer = self
            .ask(SASL_HANDSHAKE, Writer::default().text("PLAIN"))
            .await?;
        match Reader(&answer).short()? {
            0 => {}
            33 => {
                return Err(Trouble::Says(
                    "it does not offer to log in with PLAIN (33)".to_owned(),
                ));
            }
            // It listens without SASL.
            34 => {
                return Err(Trouble::Says(
                    "it does not let anybody log in at this port (34)".to_owned(),
                ));
            }
            code => return Err(Trouble::Says(format!("it does not begin a login ({code})"))),
        }
        let Login { user, password } = login;
        let token = format!("\0{user}\0{password}");
        let request = Writer::default().bytes(token.as_bytes());
        let answer = self.ask(SASL_AUTHENTICATE, request).await?;
        match Reader(&answer).short()? {
            0 => Ok(()),
            code => Err(Trouble::Says(format!(
                "it refuses the user or the password ({code})"
            ))),
        }
    }

    /// Sends a request and returns the answer after its head.
    pub(super) async fn ask(&mut self, api: Api, body: Writer) -> Result<Vec<u8>, Trouble> {
        let spoken = self.spoken.iter().find(|(key, ..)| *key == api.key);
        if !spoken.is_some_and(|(_, least, most)| (*least..=*most).contains(&api.version)) {
            let Api { name, version, .. } = api;
            return Err(Trouble::Says(format!(
                "it does not speak version {version} of {name}"
            )));
        }
        self.send(api, body).await
    }

    async fn send(&mut self, api: Api, body: Writer) -> Result<Vec<u8>, Trouble> {
        self.next = self.next.wrapping_add(1);
        let head = Writer::default().short(api.key).short(api.version);
        let mut request = head.int(self.next).text("seaworthy");
        request.0.extend(body.0);
        self.socket
            .write_all(&Writer::default().bytes(&request.0).0)
            .await?;
        self.socket.flush().await?;
        let length =
            usize::try_from(self.socket.read_i32().await?).map_err(|_| Trouble::Foreign)?;
        // The number of the request is checked before its answer is read: what is no Kafka shall not be read for long.
        if !(4..=LONGEST).contains(&length) || self.socket.read_i32().await? != self.next {
            return Err(Trouble::Foreign);
        }
        socket::read_bytes(&mut self.socket, length - 4).await
    }
}
