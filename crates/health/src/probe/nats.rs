//! Whether a NATS server lets us in and answers a ping.
//!
//! The protocol is a few lines of text, so it is spoken here; a client library would be ninety crates for one round trip. The
//! connection is kept, because the server logs each client and a ping on it says what a client wants to know. One that the server
//! has closed since the last run is made anew before anything is said of it.

use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stream::{Stream, Target};
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome, Running};

/// A longer line is not NATS; the greeting names all servers of a cluster.
const LONGEST_LINE: usize = 64 * 1024;
/// So many lines may come before the answer to our ping.
const MOST_LINES: usize = 64;

const NOT_NATS: &str = "it does not speak NATS";

/// Connects to a NATS server and pings it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nats {
    /// The server, such as `nats://user:password@nats:4222`, or `tls://…`. A user without a password is a token.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// A file of PEM certificates that are trusted instead of those of the system. Default: those of the system.
    #[serde(default)]
    pub ca: Option<String>,
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
        let ca = self.ca.as_deref().map(Into::into);
        Arc::new(Pings {
            target: Target::new(self.url.host(), self.url.port_or(4222), tls, ca),
            url: self.url.clone(),
            kept: Mutex::default(),
        })
    }
}

struct Pings {
    target: Target,
    url: Dsn,
    kept: Mutex<Option<Session>>,
}

impl Check for Pings {
    fn kind(&self) -> &'static str {
        Nats::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            // Taken out: a run that is cancelled drops it, half-used as it is.
            let kept = self.slot().take();
            if let Some(mut session) = kept
                && session.ping().await.is_ok()
            {
                return self.keep(session);
            }
            match self.open().await {
                Ok(session) => self.keep(session),
                Err(outcome) => outcome,
            }
        })
    }
}

impl Pings {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Session>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, session: Session) -> Outcome {
        let mut outcome = Outcome::healthy("it answers pings");
        if let Some(version) = &session.version {
            outcome = outcome.with("version", version.as_str());
        }
        *self.slot() = Some(session);
        outcome
    }

    /// Connects, introduces itself and pings.
    async fn open(&self) -> Result<Session, Outcome> {
        let mut plain = self.target.connect_plain().await?;
        // The server speaks first, and without TLS.
        let mut read = Vec::new();
        let greeting = line(&mut plain, &mut read).await?;
        let info: Value = greeting
            .strip_prefix("INFO ")
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(|| Outcome::unhealthy(NOT_NATS))?;
        let says = |key: &str| info[key].as_bool().unwrap_or(false);
        let mut stream: Stream = if self.target.tls || says("tls_required") {
            if !says("tls_required") && !says("tls_available") {
                return Err(Outcome::unhealthy("it does not offer TLS"));
            }
            if !read.is_empty() {
                // Whatever came before the handshake may be from somebody else.
                return Err(Outcome::unhealthy(NOT_NATS));
            }
            self.target.secure(plain).await?
        } else {
            Box::new(plain)
        };
        let hello = format!("CONNECT {}\r\n", self.introduction());
        let sent = stream.write_all(hello.as_bytes()).await;
        sent.map_err(|error| super::unreachable(&error))?;
        let fits = |text: &&str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
            text.len() <= 32 && text.bytes().all(fits)
        };
        let version = info["version"].as_str().filter(fits).map(str::to_owned);
        let mut session = Session {
            stream,
            read,
            version,
        };
        session.ping().await?;
        Ok(session)
    }

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

/// A connection that has been let in.
struct Session {
    stream: Stream,
    /// What has come and was not a whole line yet.
    read: Vec<u8>,
    version: Option<String>,
}

impl Session {
    /// Pings and waits for the answer. The server pings as well, and gives up on whoever does not answer.
    async fn ping(&mut self) -> Result<(), Outcome> {
        let broken = |error| super::unreachable(&error);
        self.stream.write_all(b"PING\r\n").await.map_err(broken)?;
        for _ in 0..MOST_LINES {
            let line = line(&mut self.stream, &mut self.read).await?;
            match line.split([' ', '\t']).next().unwrap_or_default() {
                "PONG" => return Ok(()),
                "PING" => self.stream.write_all(b"PONG\r\n").await.map_err(broken)?,
                "INFO" | "+OK" => {}
                "-ERR" => return Err(Outcome::unhealthy(refusal(&line))),
                _ => return Err(Outcome::unhealthy(NOT_NATS)),
            }
        }
        Err(Outcome::unhealthy(NOT_NATS))
    }
}

/// The next line, without its end.
async fn line<S>(stream: &mut S, read: &mut Vec<u8>) -> Result<String, Outcome>
where
    S: tokio::io::AsyncRead + Unpin,
{
    loop {
        if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = read.drain(..=end).collect();
            let text = String::from_utf8(line).map_err(|_| Outcome::unhealthy(NOT_NATS))?;
            return Ok(text.trim_end().to_owned());
        }
        if read.len() > LONGEST_LINE {
            return Err(Outcome::unhealthy(NOT_NATS));
        }
        let count = stream.read_buf(read).await;
        if count.map_err(|error| super::unreachable(&error))? == 0 {
            return Err(Outcome::unhealthy("it ended the connection"));
        }
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
