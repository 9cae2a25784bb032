//! The upstream: answers 200 bytes of JSON, or `N` bytes for `/bytes/N`, over TCP and a unix socket at once.
//!
//! One write an answer while it fits the socket's buffer; what does not fit is sent when there is room, from one filler
//! that all answers share, so an answer of a gigabyte costs no memory.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};

use memchr::memmem::Finder;
use rustix::event::epoll;
use rustix::fd::{AsFd, OwnedFd};

use crate::Failure;

const FILLER: usize = 256 * 1024;
const HEAD: usize = 16 * 1024;
const TCP: u64 = 0;
const UNIX: u64 = 1;
/// Marks of connections begin here; those below are the listeners'.
const FIRST: usize = 2;

struct Connection {
    stream: Stream,
    input: Vec<u8>,
    held: usize,
    /// What is left of the answer's head and body.
    head: Vec<u8>,
    body: usize,
    /// Whether the poll is for room rather than for a request.
    waiting_for_room: bool,
}

struct Upstream {
    epoll: OwnedFd,
    connections: Vec<Option<Connection>>,
    filler: Vec<u8>,
    canned: Vec<u8>,
    end: Finder<'static>,
}

/// Serves until it is killed.
pub fn serve(port: u16, unix: Option<&str>) -> Result<(), Failure> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    tcp.set_nonblocking(true)?;
    epoll::add(
        &epoll,
        &tcp,
        epoll::EventData::new_u64(TCP),
        epoll::EventFlags::IN,
    )?;
    let unix = unix.map(UnixListener::bind).transpose()?;
    if let Some(unix) = &unix {
        unix.set_nonblocking(true)?;
        epoll::add(
            &epoll,
            unix,
            epoll::EventData::new_u64(UNIX),
            epoll::EventFlags::IN,
        )?;
    }
    let canned = [
        head(200),
        format!(r#"{{"text":"{}"}}"#, "x".repeat(189)).into_bytes(),
    ]
    .concat();
    let end = Finder::new(b"\r\n\r\n");
    let mut upstream = Upstream {
        epoll,
        connections: Vec::new(),
        filler: vec![b'x'; FILLER],
        canned,
        end,
    };
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(
            &upstream.epoll,
            rustix::buffer::spare_capacity(&mut events),
            None,
        )?;
        for event in &events {
            match (event.data.u64(), &unix) {
                (TCP, _) => {
                    while let Some((stream, _)) = taken(tcp.accept())? {
                        stream.set_nodelay(true)?;
                        stream.set_nonblocking(true)?;
                        upstream.add(Stream::Tcp(stream))?;
                    }
                }
                (UNIX, Some(unix)) => {
                    while let Some((stream, _)) = taken(unix.accept())? {
                        stream.set_nonblocking(true)?;
                        upstream.add(Stream::Unix(stream))?;
                    }
                }
                (mark, _) => upstream.turn(usize::try_from(mark)? - FIRST)?,
            }
        }
    }
}

/// What an accept took, or nothing when nobody waits.
fn taken<T>(accepted: io::Result<T>) -> io::Result<Option<T>> {
    match accepted {
        Ok(taken) => Ok(Some(taken)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::WouldBlock | ErrorKind::ConnectionAborted
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn head(length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Sat, 21 Nov 2026 00:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}

impl Upstream {
    fn add(&mut self, stream: Stream) -> Result<(), Failure> {
        let free = self
            .connections
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.connections.len());
        let mark = epoll::EventData::new_u64((free + FIRST) as u64);
        epoll::add(&self.epoll, stream.as_fd(), mark, epoll::EventFlags::IN)?;
        let connection = Connection {
            stream,
            input: vec![0; HEAD],
            held: 0,
            head: Vec::new(),
            body: 0,
            waiting_for_room: false,
        };
        if free == self.connections.len() {
            self.connections.push(Some(connection));
        } else {
            self.connections[free] = Some(connection);
        }
        Ok(())
    }

    /// One event of one connection. A connection that ends or fails is forgotten: its peer is the one under test.
    fn turn(&mut self, index: usize) -> Result<(), Failure> {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        let went_on = if connection.waiting_for_room {
            connection.flush(&self.filler)
        } else {
            connection.answer(&self.end, &self.canned, &self.filler)
        };
        let Ok(()) = went_on else {
            self.connections[index] = None;
            return Ok(());
        };
        let full = connection.body > 0 || !connection.head.is_empty();
        if full != connection.waiting_for_room {
            connection.waiting_for_room = full;
            let flags = if full {
                epoll::EventFlags::OUT
            } else {
                epoll::EventFlags::IN
            };
            let mark = epoll::EventData::new_u64((index + FIRST) as u64);
            epoll::modify(&self.epoll, connection.stream.as_fd(), mark, flags)?;
        }
        Ok(())
    }
}

impl Connection {
    fn answer(&mut self, end: &Finder<'_>, canned: &[u8], filler: &[u8]) -> io::Result<()> {
        let count = match self.stream.read(&mut self.input[self.held..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        self.held += count;
        if end.find(&self.input[..self.held]).is_none() {
            return Ok(());
        }
        // The proxies do not pipeline, so what was read is one request.
        let length = requested(&self.input[..self.held]);
        self.held = 0;
        match length {
            None => match self.stream.write(canned) {
                Ok(count) if count == canned.len() => Ok(()),
                _ => Err(ErrorKind::BrokenPipe.into()),
            },
            Some(length) => {
                (self.head, self.body) = (head(length), length);
                self.flush(filler)
            }
        }
    }

    fn flush(&mut self, filler: &[u8]) -> io::Result<()> {
        while self.body > 0 || !self.head.is_empty() {
            let body = &filler[..self.body.min(filler.len())];
            match self
                .stream
                .write_vectored(&[IoSlice::new(&self.head), IoSlice::new(body)])
            {
                Ok(count) => {
                    let of_head = count.min(self.head.len());
                    self.head.drain(..of_head);
                    self.body -= count - of_head;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How many bytes `GET /bytes/N` asks for.
fn requested(request: &[u8]) -> Option<usize> {
    let rest = request.strip_prefix(b"GET /bytes/")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

/// A connection over either kind of socket.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(slices),
            Self::Unix(stream) => stream.write_vectored(slices),
        }
    }
}
