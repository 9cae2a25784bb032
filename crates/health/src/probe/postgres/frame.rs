//! A look at the length of each message before the driver sees it.
//!
//! The driver makes room for a message as soon as it has read its length, and what is no Postgres may well claim four gigabytes:
//! the letters `HTTP/` are a message of 1.4. After the handshake every message begins with a tag and a length, so counting along
//! is enough to stop that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const HEAD: usize = 5;

/// A stream of messages that are not too long.
#[derive(Debug)]
pub(super) struct Frames<S> {
    inner: S,
    longest: usize,
    head: [u8; HEAD],
    /// How much of the head is there.
    has: usize,
    /// How much of the message's body is still to come.
    body: usize,
    nonsense: Nonsense,
}

/// Whether something came that is no message.
#[derive(Clone, Debug, Default)]
pub(super) struct Nonsense(Arc<AtomicBool>);

impl Nonsense {
    pub(super) fn was_seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Frames<S> {
    /// Messages of at most `longest` bytes.
    pub(super) fn new(inner: S, longest: usize, nonsense: Nonsense) -> Self {
        Self {
            inner,
            longest,
            head: [0; HEAD],
            has: 0,
            body: 0,
            nonsense,
        }
    }

    /// Counts along. `false` when it is no message, or too long a one.
    fn follow(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.body > 0 {
                let part = self.body.min(bytes.len());
                self.body -= part;
                bytes = &bytes[part..];
                continue;
            }
            let part = (HEAD - self.has).min(bytes.len());
            self.head[self.has..self.has + part].copy_from_slice(&bytes[..part]);
            self.has += part;
            bytes = &bytes[part..];
            if self.has == HEAD {
                self.has = 0;
                let [tag, length @ ..] = self.head;
                let body = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                // The length counts itself.
                match body.checked_sub(HEAD - 1) {
                    Some(body) if body <= self.longest && is_tag(tag) => self.body = body,
                    _ => return false,
                }
            }
        }
        true
    }
}

/// Tags are letters and a few digits.
fn is_tag(tag: u8) -> bool {
    tag.is_ascii_alphanumeric()
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if self.follow(&buffer.filled()[before..]) {
            return Poll::Ready(Ok(()));
        }
        self.nonsense.0.store(true, Ordering::Relaxed);
        buffer.set_filled(before);
        Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows(pieces: &[&[u8]]) -> bool {
        let mut frames = Frames::new((), 1 << 20, Nonsense::default());
        pieces.iter().all(|piece| frames.follow(piece))
    }

    #[test]
    fn messages_pass_in_any_pieces() {
        let messages = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I1\0\0\0\x04";
        assert!(follows(&[messages]));
        for at in 0..messages.len() {
            assert!(follows(&[&messages[..at], &messages[at..]]), "{at}");
        }
    }

    #[test]
    fn what_is_no_message_or_too_long_does_not() {
        assert!(!follows(&[b"HTTP/1.1 400 Bad Request"]));
        assert!(!follows(&[b"R\0\0\0\x03"]));
        assert!(!follows(&[b"R\xff\xff", b"\xff\xff"]));
        assert!(!follows(&[b"\0\0\0\0\x08"]));
        assert!(!follows(&[b"Z\0\0\0\x05I", b"\xff\0\0\0\x04"]));
    }
}
