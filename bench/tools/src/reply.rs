//! Reads one HTTP/1.1 reply after another from a connection, of bodies with a `Content-Length` only.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;

use memchr::memmem::Finder;

use crate::Failure;

const BUFFER: usize = 256 * 1024;

/// What a read brought.
pub enum Progress {
    /// The reply is not whole yet.
    Partial,
    /// The reply is whole; its status.
    Whole(u16),
}

/// The reply that a connection is waiting for.
pub struct Reply {
    buffer: Vec<u8>,
    held: usize,
    status: u16,
    /// Bytes of the body still to come; none until the head is whole.
    body: Option<u64>,
}

/// What does not change from one reply to the next.
pub struct Patterns {
    end: Finder<'static>,
}

impl Patterns {
    /// Prepares the searches.
    pub fn new() -> Self {
        Self {
            end: Finder::new(b"\r\n\r\n"),
        }
    }
}

impl Reply {
    /// Waits for the first reply.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER],
            held: 0,
            status: 0,
            body: None,
        }
    }

    /// Reads once.
    pub fn read(
        &mut self,
        mut stream: &TcpStream,
        patterns: &Patterns,
    ) -> Result<Progress, Failure> {
        let count = match stream.read(&mut self.buffer[self.held..]) {
            Ok(0) => return Err("the connection ended inside a reply".into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Partial),
            Err(error) => return Err(error.into()),
        };
        let left = match self.body {
            Some(left) => left
                .checked_sub(count as u64)
                .ok_or("more bytes than the body has")?,
            None => {
                self.held += count;
                let Some(end) = patterns.end.find(&self.buffer[..self.held]) else {
                    return if self.held < BUFFER {
                        Ok(Progress::Partial)
                    } else {
                        Err("a head without end".into())
                    };
                };
                self.status = status(&self.buffer[..end]).ok_or("not a reply")?;
                let length =
                    content_length(&self.buffer[..end]).ok_or("a reply without Content-Length")?;
                let here = self.held - end - 4;
                self.held = 0;
                length
                    .checked_sub(here as u64)
                    .ok_or("more bytes than the body has")?
            }
        };
        self.body = (left > 0).then_some(left);
        Ok(if left > 0 {
            Progress::Partial
        } else {
            Progress::Whole(self.status)
        })
    }
}

fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

fn content_length(head: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"content-length:";
    memchr::memchr_iter(b'\n', head).find_map(|end_of_line| {
        let line = &head[end_of_line + 1..];
        let (name, value) = line.split_at_checked(NAME.len())?;
        if !name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let value = &value[..memchr::memchr(b'\r', value).unwrap_or(value.len())];
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}
