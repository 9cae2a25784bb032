//! A connection that speaks AMQP 0-9-1 as far as checks need it.
//!
//! It is our own because of what a check must never do. amqprs 2.1 spawns tasks that keep the socket of a cancelled run open,
//! reads into a buffer without a limit, and panics on methods that it does not know (`unimplemented!`). Here the socket is
//! all there is, a frame is at most 128 KiB, and whatever is not the protocol is said to be something else.
//!
//! Not done: heartbeats (switched off at the handshake, a run has its own timeout), more than one channel, publishing of
//! anything that does not fit into one frame.

mod login;
pub(crate) mod wire;

use std::path::PathBuf;

use bytes::Buf as _;
use seaworthy_core::dsn::Dsn;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::Instant;

use super::kept::Place;
use super::stream::{Socket, Target, read_bytes};
use super::trouble::Trouble;
use login::refusal;
use wire::Writer;

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

/// Frames that may be on their way when the channel is closed.
const MOST_LATE: usize = 30_000;

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
    pub(crate) arguments: Vec<u8>,
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

/// Where AMQP is spoken.
pub(crate) struct Server {
    url: Dsn,
    target: Target,
}

impl Server {
    pub(crate) fn new(url: &Dsn, ca: Option<PathBuf>) -> Self {
        let tls = url.scheme() == "amqps";
        Self {
            url: url.clone(),
            target: Target::new(url, if tls { 5671 } else { 5672 }, tls, ca),
        }
    }
}

impl Place for Server {
    type Session = Connection;

    const TONGUE: &'static str = "AMQP 0-9-1";

    /// Connects, logs in and opens the virtual host.
    async fn open(&self) -> Result<Connection, Trouble> {
        let mut connection = Connection {
            socket: BufReader::new(self.target.connect().await?),
            version: None,
        };
        connection.log_in(&self.url).await?;
        Ok(connection)
    }
}

impl Connection {
    /// Opens the channel.
    pub(crate) async fn open_channel(&mut self) -> Result<(), Trouble> {
        let open = Writer::method(20, 10).text("");
        self.method(CHANNEL, open).await?;
        self.expect((20, 11)).await.map(drop)
    }

    /// Closes the channel. What was on its way on it is read over.
    pub(crate) async fn close_channel(&mut self) -> Result<(), Trouble> {
        let close = Writer::method(20, 40).short(200).text("").long(0);
        self.method(CHANNEL, close).await?;
        for _ in 0..MOST_LATE {
            let (kind, payload) = self.any_frame().await?;
            if kind != METHOD {
                continue;
            }
            let mut payload = payload.as_slice();
            match (payload.try_get_u16()?, payload.try_get_u16()?) {
                (20, 41) => return Ok(()),
                (10, 50) => return Err(refusal(payload.try_get_u16()?)),
                _ => {}
            }
        }
        Err(Trouble::Foreign)
    }

    /// Whether something comes before `until`. Nothing is read, so that giving up breaks nothing.
    pub(crate) async fn comes_before(&mut self, until: Instant) -> Result<bool, Trouble> {
        match tokio::time::timeout_at(until, self.socket.fill_buf()).await {
            Ok(came) => Ok(came.map(|_| true)?),
            Err(_) => Ok(false),
        }
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
        let mut header = header.as_slice();
        let _class_and_weight = header.try_get_u32()?;
        let size = usize::try_from(header.try_get_u64()?).map_err(|_| Trouble::Foreign)?;
        if size > 2 * MOST as usize {
            return Err(Trouble::Foreign);
        }
        let flags = header.try_get_u16()?;
        let is_json = flags & 1 << 15 != 0 && wire::text(&mut header)? == "application/json";
        if flags & 1 << 14 != 0 {
            wire::text(&mut header)?;
        }
        let mut ticket = None;
        if flags & 1 << 13 != 0 {
            ticket = wire::text_field(wire::bytes(&mut header)?, "ticket")?;
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
        let code = close.arguments.as_slice().try_get_u16()?;
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
            let mut arguments = payload.as_slice();
            let id = (arguments.try_get_u16()?, arguments.try_get_u16()?);
            let arguments = arguments.to_vec();
            match id {
                (10, 50) => return Err(refusal(arguments.as_slice().try_get_u16()?)),
                // The server is short of memory or disk (blocked, unblocked): no answer to anything.
                (10, 60 | 61) => {}
                _ => return Ok(Method { id, arguments }),
            }
        }
        Err(Trouble::Foreign)
    }

    async fn next_frame(&mut self, wanted: u8) -> Result<Vec<u8>, Trouble> {
        for _ in 0..MOST_IGNORED {
            match self.any_frame().await? {
                (kind, payload) if kind == wanted => return Ok(payload),
                (HEARTBEAT, _) => {}
                _ => return Err(Trouble::Foreign),
            }
        }
        Err(Trouble::Foreign)
    }

    async fn any_frame(&mut self) -> Result<(u8, Vec<u8>), Trouble> {
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
        let payload = read_bytes(&mut self.socket, length as usize).await?;
        if self.socket.read_u8().await? != END {
            return Err(Trouble::Foreign);
        }
        Ok((kind, payload))
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
