//! One connection to the app.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;

use super::response::Head;
use super::socket::Socket;
use crate::h1::output::Output;
use crate::h1::recent::Recent;

const SMALL_READ: usize = 8 * 1024;
const LARGE_READ: usize = 64 * 1024;

/// A socket with what was read from it and what waits to be written. It is boxed once and then handed around.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    pub(super) input: BytesMut,
    pub(super) output: Output,
    pub(super) recent: Recent<Head>,
    /// It has carried an exchange before.
    pub(super) reused: bool,
    /// Bytes were written for the current exchange.
    pub(super) sent: bool,
    /// The app has ended its side.
    pub(super) ended: bool,
    /// The last read filled the room it had, so the next gets more.
    filled: bool,
}

impl Connection {
    pub(super) fn new(socket: Socket) -> Box<Self> {
        Box::new(Self {
            socket,
            input: BytesMut::with_capacity(SMALL_READ),
            output: Output::default(),
            recent: Recent::default(),
            reused: false,
            sent: false,
            ended: false,
            filled: false,
        })
    }

    /// Whether it can carry another exchange.
    pub(super) fn is_clean(&self) -> bool {
        self.input.is_empty() && self.output.is_empty() && !self.ended
    }

    /// Whether it is still good after idling.
    pub(super) fn is_quiet(&self) -> bool {
        self.socket.is_quiet()
    }

    /// Reads more. `Ready(Ok(false))` is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        if self.input.capacity() - self.input.len() < SMALL_READ / 2 {
            self.input
                .reserve(if self.filled { LARGE_READ } else { SMALL_READ });
        }
        let room = self.input.capacity() - self.input.len();
        let read = ready!(tokio_util::io::poll_read_buf(
            Pin::new(&mut self.socket),
            cx,
            &mut self.input
        ))?;
        self.filled = read == room;
        self.ended = read == 0;
        Poll::Ready(Ok(!self.ended))
    }

    /// Writes what waits.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.output.len();
        let written = self.output.poll_write(&mut self.socket, cx);
        self.sent |= self.output.len() != before;
        written
    }

    /// Tells the app that nothing more will come.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.socket), cx)
    }
}
