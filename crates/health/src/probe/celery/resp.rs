//! A connection that speaks Redis' protocol as far as a ping needs it.
//!
//! Our own, because a run that is cut short must still take away what it made: see [`leave`](Line::leave).

use std::path::PathBuf;

use seaworthy_core::dsn::Dsn;
use tokio::io::{AsyncWriteExt as _, BufReader};

use super::super::kept::Place;
use super::super::stream::{self, Socket, Target, read_bytes, read_line};
use super::super::trouble::Trouble;

/// No line of an answer is longer.
const LONGEST_LINE: u64 = 1024;

/// No answer holds more bytes in all.
const LONGEST: usize = 4 * 1024 * 1024;

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Number(i64),
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
}

/// An open connection.
pub(super) struct Line {
    socket: Socket,
    /// The number of the database.
    pub(super) database: u16,
}

/// Appends a command to `out`.
pub(super) fn command(out: &mut Vec<u8>, words: &[&str]) {
    out.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        out.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
}

/// Where Redis is spoken.
pub(super) struct Server {
    url: Dsn,
    target: Target,
}

impl Server {
    pub(super) fn new(url: &Dsn, ca: Option<PathBuf>) -> Self {
        let tls = url.scheme() == "rediss";
        Self {
            url: url.clone(),
            target: Target::new(url, 6379, tls, ca),
        }
    }
}

impl Place for Server {
    type Session = Line;

    const TONGUE: &'static str = "Redis";

    /// Connects, logs in and chooses the database.
    async fn open(&self) -> Result<Line, Trouble> {
        let socket = BufReader::new(self.target.connect().await?);
        let database = self.url.name().parse().unwrap_or(0);
        let mut line = Line { socket, database };
        if let Some(password) = self.url.password() {
            let user = self.url.user();
            let words = match &user {
                Some(user) => vec!["AUTH", user, &password],
                None => vec!["AUTH", &password],
            };
            line.ask(&words).await?;
        }
        line.ask(&["SELECT", &database.to_string()]).await?;
        Ok(line)
    }
}

impl Line {
    /// Sends a command and waits for its answer.
    pub(super) async fn ask(&mut self, words: &[&str]) -> Result<Answer, Trouble> {
        let mut request = Vec::new();
        command(&mut request, words);
        self.send(&request).await?;
        self.answer().await
    }

    /// Sends commands.
    pub(super) async fn send(&mut self, commands: &[u8]) -> Result<(), Trouble> {
        self.socket.write_all(commands).await?;
        self.socket.flush().await?;
        Ok(())
    }

    /// The next answer.
    pub(super) async fn answer(&mut self) -> Result<Answer, Trouble> {
        let (kind, rest) = self.line().await?;
        match kind {
            '+' => Ok(Answer::Text(rest.into_bytes())),
            '-' => Err(refusal(&rest)),
            ':' => rest
                .parse()
                .map(Answer::Number)
                .map_err(|_| Trouble::Foreign),
            '$' => Ok(Answer::Text(self.text(&rest, LONGEST).await?)),
            '*' => {
                let count: usize = rest.parse().map_err(|_| Trouble::Foreign)?;
                let (mut list, mut room) = (Vec::new(), LONGEST);
                for _ in 0..count {
                    let ('$', length) = self.line().await? else {
                        return Err(Trouble::Foreign);
                    };
                    let text = self.text(&length, room).await?;
                    // Each item costs something, or endless empty ones would be free.
                    room = room.checked_sub(text.len() + 64).ok_or(Trouble::Foreign)?;
                    list.push(text);
                }
                Ok(Answer::List(list))
            }
            _ => Err(Trouble::Foreign),
        }
    }

    async fn text(&mut self, length: &str, room: usize) -> Result<Vec<u8>, Trouble> {
        let length: usize = length.parse().map_err(|_| Trouble::Foreign)?;
        if length > room {
            return Err(Trouble::Foreign);
        }
        let mut text = read_bytes(&mut self.socket, length + 2).await?;
        if !text.ends_with(b"\r\n") {
            return Err(Trouble::Foreign);
        }
        text.truncate(length);
        Ok(text)
    }

    /// A line without its first letter, which says what it is.
    async fn line(&mut self) -> Result<(char, String), Trouble> {
        let line = read_line(&mut self.socket, LONGEST_LINE).await?;
        let mut rest = line.chars();
        let kind = rest.next().ok_or(Trouble::Foreign)?;
        Ok((kind, rest.as_str().to_owned()))
    }

    /// Sends last commands without waiting for anybody, and closes.
    pub(super) fn leave(&mut self, commands: &[u8]) {
        stream::leave(&mut self.socket, commands);
    }
}

/// What an error means. Its first word is a code; the rest may repeat what was sent.
fn refusal(error: &str) -> Trouble {
    let code = error.split(' ').next().unwrap_or_default();
    let is_code =
        (1..=20).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase());
    Trouble::says(match code {
        "WRONGPASS" => "it refuses the user or the password (WRONGPASS)".to_owned(),
        "NOAUTH" => "it wants a password (NOAUTH)".to_owned(),
        "NOPERM" => "the user may not do what a ping needs (NOPERM)".to_owned(),
        "LOADING" => "it is still loading its data (LOADING)".to_owned(),
        "READONLY" => "it is a replica that cannot be written to (READONLY)".to_owned(),
        "OOM" => "it has no memory left (OOM)".to_owned(),
        code if is_code => format!("it refuses ({code})"),
        _ => return Trouble::Foreign,
    })
}
