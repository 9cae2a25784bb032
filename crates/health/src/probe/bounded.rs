//! A stream that gives no more than was agreed.
//!
//! Drivers read until an answer is complete, and an answer that never ends would fill the memory. So each run has an
//! [`Allowance`]; when it is used up, reading fails.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one run may read. Generous for any answer that a check has a use for.
const MOST: usize = 1 << 20;

/// How much of the beginning of a connection is remembered.
const FIRST: usize = 32;

/// What may still be read in this run.
#[derive(Clone, Debug)]
pub(crate) struct Allowance(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    left: AtomicUsize,
    /// The first bytes of the connection.
    first: OnceLock<Box<[u8]>>,
}

impl Allowance {
    pub(crate) fn new() -> Self {
        Self::of(MOST)
    }

    /// One of so many bytes.
    pub(crate) fn of(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            left: AtomicUsize::new(most),
            first: OnceLock::new(),
        }))
    }

    /// A new run begins.
    pub(crate) fn renew(&self) {
        self.0.left.store(self.0.most, Ordering::Relaxed);
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.0.left.load(Ordering::Relaxed) == 0
    }

    /// Whether the peer began with these words. A driver drops what is said to it before it has asked.
    #[cfg(feature = "redis")]
    pub(crate) fn began_with(&self, words: &[u8]) -> bool {
        self.0
            .first
            .get()
            .is_some_and(|first| first.starts_with(words))
    }
}

/// A stream with an allowance.
#[derive(Debug)]
pub(crate) struct Bounded<S> {
    inner: S,
    allowance: Allowance,
}

impl<S> Bounded<S> {
    pub(crate) fn new(inner: S, allowance: Allowance) -> Self {
        Self { inner, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.allowance.0.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        // One read may go over it by a driver's buffer; the next one fails.
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let new = &buffer.filled()[before..];
        let shared = &self.allowance.0;
        if !new.is_empty() {
            shared
                .first
                .get_or_init(|| new[..new.len().min(FIRST)].into());
        }
        shared
            .left
            .store(left.saturating_sub(new.len()), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A server that has no room says so and closes before it is asked anything. What it said can still be read, so that
        // it is reading that finds out about the end.
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes));
        Poll::Ready(Ok(written.unwrap_or(bytes.len())))
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn reading_ends_when_the_allowance_is_used_up_and_goes_on_with_a_new_one() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move { while far.write_all(&[7; 1 << 16]).await.is_ok() {} });
        let allowance = Allowance::new();
        let mut stream = Bounded::new(near, allowance.clone());
        let mut taken = Vec::new();
        let error = stream.read_to_end(&mut taken).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(
            (MOST..MOST + (1 << 17)).contains(&taken.len()),
            "{}",
            taken.len()
        );
        assert!(allowance.is_used_up());
        allowance.renew();
        assert_eq!(stream.read_u8().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_was_said_before_the_end_is_read() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(b"-ERR full\r\n").await.unwrap();
        drop(far);
        let mut stream = Bounded::new(near, Allowance::new());
        stream.write_all(b"PING\r\n").await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "-ERR full\r\n");
    }
}
