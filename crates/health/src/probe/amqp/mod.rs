//! A connection that speaks AMQP 0-9-1 as far as checks need it.
//!
//! It is our own because of what a check must never do. amqprs 2.1 spawns tasks that keep the socket of a cancelled run open,
//! reads into a buffer without a limit, and panics on methods that it does not know (`unimplemented!`). Here the socket is
//! all there is, a frame is at most 128 KiB, and whatever is not the protocol is said to be something else.
//!
//! Not done: heartbeats (switched off at the handshake, a run has its own timeout), more than one channel, publishing of
//! anything that does not fit into one frame.

pub(crate) mod wire;

use seaworthy_core::dsn::Dsn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::socket::{self, Security, Socket, Trouble};
use wire::{Reader, Writer};

/// What is spoken, for messages.
pub(crate) const TONGUE: &str = "AMQP 0-9-1";

const MOST: u32 = 128 * 1024;
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;

/// The one channel that is ever opened.
const CHANNEL: u16 = 1;

/// Frames of others between ours, such as heartbeats; a peer that sends more of them says nothing.
const MOST_IGNORED: usize = 64;

/// An open connection to one virtual host.
pub(crate) struct Connection {
    socket: Socket,
    /// The server's version, if it tells.
    pub(crate) version: Option<String>,
}

/// A method that came in.
#[derive(Debug)]
pub(crate) struct Method {
    /// Its class and its number.
    pub(crate) id: (u16, u16),
    arguments: Vec<u8>,
}

impl Method {
    /// Its arguments.
    pub(crate) fn arguments(&self) -> Reader<'_> {
        Reader(&self.arguments)
    }
}

/// A message that came in.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Whether it says that it is JSON.
    pub(crate) is_json: bool,
    /// Its header `ticket`.
    pub(crate) ticket: Option<String>,
    /// What it says.
    pub(crate) body: Vec<u8>,
}

/// What became of a channel's request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The method that was waited for.
    Done(Method),
    /// The server closed the channel, with a code; the connection goes on.
    Closed(u16),
}

impl Connection {
    /// Connects, logs in and opens the virtual host.
    pub(crate) async fn open(url: &Dsn, security: &Security) -> Result<Self, Trouble> {
        let tls = matches!(security, Security::Tls(_));
        let port = url.port_or(if tls { 5671 } else { 5672 });
        let socket = socket::connect(&url.host(), port, security).await?;
        let mut connection = Self {
            socket,
            version: None,
        };
        connection.socket.write_all(b"AMQP\x00\x00\x09\x01").await?;
        connection.socket.flush().await?;
        let start = connection.expect((10, 10)).await?;
        connection.version = version(&start)?;
        let user = url.user().unwrap_or_else(|| "guest".to_owned());
        let password = url.password().unwrap_or_else(|| "guest".to_owned());
        connection.method(0, start_ok(&user, &password)).await?;
        let tune = connection.expect((10, 30)).await?;
        let mut tune = tune.arguments();
        let (_, frame) = (tune.short()?, tune.long()?);
        let frame = if frame == 0 { MOST } else { frame.min(MOST) };
        let tune_ok = Writer::method(10, 31).short(CHANNEL).long(frame).short(0);
        connection.method(0, tune_ok).await?;
        let name = url.name();
        let host = if name.is_empty() { "/" } else { &name };
        let open = Writer::method(10, 40).text(host).text("").octet(0);
        connection.method(0, open).await?;
        connection.expect((10, 41)).await?;
        Ok(connection)
    }

    /// Opens the channel.
    pub(crate) async fn open_channel(&mut self) -> Result<(), Trouble> {
        let open = Writer::method(20, 10).text("");
        self.method(CHANNEL, open).await?;
        self.expect((20, 11)).await.map(drop)
    }

    /// Closes the channel.
    pub(crate) async fn close_channel(&mut self) -> Result<(), Trouble> {
        let close = Writer::method(20, 40).short(200).text("").long(0);
        self.method(CHANNEL, close).await?;
        self.expect((20, 41)).await.map(drop)
    }

    /// Asks for something on the channel, and waits for the method `answer`.
    pub(crate) async fn ask(
        &mut self,
        method: Writer,
        answer: (u16, u16),
    ) -> Result<Reply, Trouble> {
        self.method(CHANNEL, method).await?;
        let came = self.next_method().await?;
        match came.id {
            id if id == answer => Ok(Reply::Done(came)),
            (20, 40) => Ok(Reply::Closed(self.closed(&came).await?)),
            _ => Err(Trouble::Foreign),
        }
    }

    /// Publishes JSON.
    pub(crate) async fn publish(
        &mut self,
        exchange: &str,
        headers: &Writer,
        json: &[u8],
    ) -> Result<(), Trouble> {
        let publish = Writer::method(60, 40)
            .short(0)
            .text(exchange)
            .text("")
            .octet(0);
        self.frame(METHOD, CHANNEL, &publish.0).await?;
        // Content type, encoding, headers, delivery mode.
        let header = Writer::default()
            .short(60)
            .short(0)
            .long_long(u64::try_from(json.len()).unwrap_or(u64::MAX))
            .short(0b1111_0000_0000_0000)
            .text("application/json")
            .text("utf-8")
            .bytes(&headers.0)
            .octet(1);
        self.frame(HEADER, CHANNEL, &header.0).await?;
        self.frame(BODY, CHANNEL, json).await?;
        self.socket.flush().await?;
        Ok(())
    }

    /// Waits for a message to a consumer; a closed channel is its code.
    pub(crate) async fn delivery(&mut self) -> Result<Result<Delivery, u16>, Trouble> {
        let came = self.next_method().await?;
        match came.id {
            (60, 60) => self.content().await.map(Ok),
            (20, 40) => Ok(Err(self.closed(&came).await?)),
            _ => Err(Trouble::Foreign),
        }
    }

    async fn content(&mut self) -> Result<Delivery, Trouble> {
        let header = self.next_frame(HEADER).await?;
        let mut header = Reader(&header);
        header.take(4)?;
        let size = usize::try_from(header.long_long()?).map_err(|_| Trouble::Foreign)?;
        if size > 2 * MOST as usize {
            return Err(Trouble::Foreign);
        }
        let flags = header.short()?;
        let is_json = flags & 1 << 15 != 0 && header.text()? == "application/json";
        if flags & 1 << 14 != 0 {
            header.text()?;
        }
        let mut ticket = None;
        if flags & 1 << 13 != 0 {
            ticket = Reader(header.bytes()?).text_field("ticket")?;
        }
        let mut body = Vec::new();
        while body.len() < size {
            body.extend(self.next_frame(BODY).await?);
        }
        Ok(Delivery {
            is_json,
            ticket,
            body,
        })
    }

    /// Confirms that the server closed the channel. Returns its code.
    async fn closed(&mut self, close: &Method) -> Result<u16, Trouble> {
        let code = close.arguments().short()?;
        self.method(CHANNEL, Writer::method(20, 41)).await?;
        Ok(code)
    }

    async fn expect(&mut self, id: (u16, u16)) -> Result<Method, Trouble> {
        let came = self.next_method().await?;
        if came.id == id {
            Ok(came)
        } else {
            Err(Trouble::Foreign)
        }
    }

    async fn next_method(&mut self) -> Result<Method, Trouble> {
        for _ in 0..MOST_IGNORED {
            let payload = self.next_frame(METHOD).await?;
            let mut reader = Reader(&payload);
            let id = (reader.short()?, reader.short()?);
            let arguments = reader.0.to_vec();
            match id {
                (10, 50) => return Err(refusal(Reader(&arguments).short()?)),
                // The server is short of memory or disk (blocked, unblocked): no answer to anything.
                (10, 60 | 61) => {}
                _ => return Ok(Method { id, arguments }),
            }
        }
        Err(Trouble::Foreign)
    }

    async fn next_frame(&mut self, wanted: u8) -> Result<Vec<u8>, Trouble> {
        for _ in 0..MOST_IGNORED {
            let kind = self.socket.read_u8().await?;
            // Said at once: what is no AMQP may never send the rest of a head.
            if !matches!(kind, METHOD | HEADER | BODY | HEARTBEAT) {
                return Err(Trouble::Foreign);
            }
            let _channel = self.socket.read_u16().await?;
            let length = self.socket.read_u32().await?;
            if length > MOST {
                return Err(Trouble::Foreign);
            }
            let payload = socket::read_bytes(&mut self.socket, length as usize).await?;
            if self.socket.read_u8().await? != END {
                return Err(Trouble::Foreign);
            }
            if kind == wanted {
                return Ok(payload);
            }
            if kind != HEARTBEAT {
                return Err(Trouble::Foreign);
            }
        }
        Err(Trouble::Foreign)
    }

    async fn method(&mut self, channel: u16, method: Writer) -> Result<(), Trouble> {
        self.frame(METHOD, channel, &method.0).await?;
        self.socket.flush().await?;
        Ok(())
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> Result<(), Trouble> {
        let mut frame = Writer::default().octet(kind).short(channel).bytes(payload);
        frame.0.push(END);
        self.socket.write_all(&frame.0).await?;
        Ok(())
    }
}

fn version(start: &Method) -> Result<Option<String>, Trouble> {
    let mut arguments = start.arguments();
    arguments.take(2)?;
    let properties = Reader(arguments.bytes()?);
    let mechanisms = arguments.bytes()?;
    if !mechanisms
        .split(|byte| *byte == b' ')
        .any(|word| word == b"PLAIN")
    {
        return Err(Trouble::Says(
            "it does not offer to log in with a password".to_owned(),
        ));
    }
    let version = properties.text_field("version")?;
    Ok(version.and_then(|version| socket::version(&version)))
}

fn start_ok(user: &str, password: &str) -> Writer {
    // Without this a wrong password is a closed connection and no more.
    let capabilities = Writer::default().yes_field("authentication_failure_close");
    let properties = Writer::default()
        .text_field("product", "seaworthy")
        .text_field("connection_name", "seaworthy check")
        .table_field("capabilities", &capabilities);
    Writer::method(10, 11)
        .bytes(&properties.0)
        .text("PLAIN")
        .bytes(format!("\0{user}\0{password}").as_bytes())
        .text("en_US")
}

/// What the server means when it closes the connection.
fn refusal(code: u16) -> Trouble {
    Trouble::Says(match code {
        403 => "it refuses the user or the password (403)".to_owned(),
        530 => "there is no such virtual host, or the user may not use it (530)".to_owned(),
        320 => "it is shutting down (320)".to_owned(),
        _ => format!("it closed the connection ({code})"),
    })
}
