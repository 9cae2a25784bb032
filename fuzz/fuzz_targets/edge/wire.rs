//! A client's connection: it sends what the input says in pieces, then ends its side, and keeps what it is sent.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use seaworthy_http::edge::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct Wire {
    input: Vec<u8>,
    read_step: usize,
    write_step: usize,
    /// Every so many calls nothing can be done at once; never when zero.
    hesitation: usize,
    calls: usize,
    seen: Rc<Seen>,
}

/// What the client saw.
#[derive(Default)]
pub struct Seen {
    written: RefCell<Vec<u8>>,
    reset: Cell<bool>,
    shut: Cell<bool>,
}

impl Seen {
    pub fn written(&self) -> Vec<u8> {
        self.written.borrow().clone()
    }

    pub fn was_reset(&self) -> bool {
        self.reset.get()
    }
}

impl Wire {
    pub fn new(input: &[u8], read: u8, write: u8) -> Self {
        let step = |byte: u8| {
            if byte >= 0x80 {
                usize::MAX
            } else {
                usize::from(byte >> 1) + 1
            }
        };
        Self {
            input: input.to_vec(),
            read_step: step(read),
            write_step: step(write),
            hesitation: usize::from(read & 1) * 2 + usize::from(write & 1) * 3,
            calls: 0,
            seen: Rc::default(),
        }
    }

    pub fn seen(&self) -> Rc<Seen> {
        self.seen.clone()
    }

    fn hesitates(&mut self) -> bool {
        self.calls += 1;
        self.hesitation > 0 && self.calls.is_multiple_of(self.hesitation)
    }
}

impl Stream for Wire {
    fn reset_on_close(&self) {
        self.seen.reset.set(true);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.hesitates() {
            return Poll::Pending;
        }
        let take = self.input.len().min(self.read_step).min(buffer.remaining());
        buffer.put_slice(&self.input[..take]);
        self.input.drain(..take);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.hesitates() {
            return Poll::Pending;
        }
        assert!(
            !self.seen.shut.get() && !self.seen.reset.get(),
            "written after the end"
        );
        let take = data.len().min(self.write_step);
        self.seen
            .written
            .borrow_mut()
            .extend_from_slice(&data[..take]);
        Poll::Ready(Ok(take))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seen.shut.set(true);
        Poll::Ready(Ok(()))
    }
}
