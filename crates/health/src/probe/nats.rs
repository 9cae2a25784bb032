//! Whether a NATS server lets us in and answers a ping.
//!
//! The protocol is a few lines of text, so it is spoken here; a client library would be ninety crates for one round trip. The
//! connection is kept, because the server logs each client and a ping on it says what a client wants to know. One that the server
//! has closed since the last run is made anew before anything is said of it.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, BufReader};

use super::kept::{self, Place, Question};
use super::stream::{Socket, Stream, Target, read_line};
use super::trouble::Trouble;
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome};

/// A longer line is not NATS; the greeting names all servers of a cluster.
const LONGEST_LINE: u64 = 64 * 1024;
/// So many lines may come before the answer to our ping.
const MOST_LINES: usize = 64;

/// Connects to a NATS server and pings it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nats {
    /// The server, such as `nats://user:password@nats:4222`, or `tls://…`. A user without a password is a token.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// A file of PEM certificates that are trusted instead of those of the system. Default: those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

impl Probe for Nats {
    const KIND: &'static str = "nats";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, &["nats", "tls"], around, faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let tls = self.url.scheme() == "tls";
        let server = Server {
            target: Target::new(&self.url, 4222, tls, self.ca.clone()),
            url: self.url.clone(),
        };
        kept::check(Self::KIND, server, Ping)
    }
}

/// Where a NATS is.
struct Server {
    target: Target,
    url: Dsn,
}

/// A connection that has been let in.
struct Session {
    socket: Socket,
    version: Option<String>,
}

impl Place for Server {
    type Session = Session;

    const TONGUE: &'static str = "NATS";

    /// Connects and introduces itself.
    async fn open(&self) -> Result<Session, Trouble> {
        let mut plain = BufReader::new(self.target.connect_plain().await?);
        // The server speaks first, and without TLS.
        let greeting = read_line(&mut plain, LONGEST_LINE).await?;
        let info = greeting.strip_prefix("INFO ").ok_or(Trouble::Foreign)?;
        let info: Value = serde_json::from_str(info).map_err(|_| Trouble::Foreign)?;
        let says = |key: &str| info[key].as_bool().unwrap_or(false);
        let stream: Stream = if self.target.tls || says("tls_required") {
            if !says("tls_required") && !says("tls_available") {
                return Err(Trouble::says("it does not offer TLS"));
            }
            if !plain.buffer().is_empty() {
                // Whatever came before the handshake may be from somebody else.
                return Err(Trouble::Foreign);
            }
            self.target.secure(plain.into_inner()).await?
        } else {
            // With what it has read.
            Box::new(plain)
        };
        let mut socket = BufReader::new(stream);
        let hello = format!("CONNECT {}\r\n", self.introduction());
        socket.write_all(hello.as_bytes()).await?;
        let version = info["version"].as_str().and_then(super::version);
        let version = version.map(str::to_owned);
        Ok(Session { socket, version })
    }

    /// A new connection shows whether what it says to one that was silent is true of all.
    fn is_stale(_: &Trouble) -> bool {
        true
    }
}

impl Server {
    fn introduction(&self) -> Value {
        let mut hello = json!({
            "verbose": false,
            "pedantic": false,
            "name": "seaworthy",
            "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1,
        });
        match (self.url.user(), self.url.password()) {
            (Some(token), None) => hello["auth_token"] = token.into(),
            (user, Some(password)) => {
                hello["user"] = user.unwrap_or_default().into();
                hello["pass"] = password.into();
            }
            (None, None) => {}
        }
        hello
    }
}

/// Pings and waits for the answer. The server pings as well, and gives up on whoever does not answer.
struct Ping;

impl Question<Server> for Ping {
    async fn ask(&self, session: &mut Session) -> Result<Outcome, Trouble> {
        let socket = &mut session.socket;
        socket.write_all(b"PING\r\n").await?;
        for _ in 0..MOST_LINES {
            let line = read_line(socket, LONGEST_LINE).await?;
            match line.split([' ', '\t']).next().unwrap_or_default() {
                "PONG" => {
                    let outcome = Outcome::healthy("it answers pings");
                    return Ok(outcome.with_some("version", session.version.as_deref()));
                }
                "PING" => socket.write_all(b"PONG\r\n").await?,
                "INFO" | "+OK" => {}
                "-ERR" => return Err(Trouble::says(refusal(&line))),
                _ => return Err(Trouble::Foreign),
            }
        }
        Err(Trouble::Foreign)
    }
}

/// What the server refuses, in our words.
fn refusal(line: &str) -> &'static str {
    let line = line.to_ascii_lowercase();
    let says = |text: &str| line.contains(text);
    if says("authorization violation") || says("authentication") {
        "it refuses the user or the password"
    } else if says("maximum connections") {
        "it has no connection left"
    } else if says("secure connection") {
        "it wants TLS"
    } else {
        "it refuses us"
    }
}
