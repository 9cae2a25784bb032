//! Bytes on their way out: small pieces are gathered, a large one is passed along uncopied.
//!
//! A head and a small body leave in one write; a large piece leaves in one vectored write with what stands around it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Frame;
use tokio::io::AsyncWrite;

use super::chunked;

/// Pieces up to this size are copied behind the head: a copy is cheaper than a second buffer in the kernel's hands.
const COPIED: usize = 8 * 1024;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is, this many bytes: what is more or less is an error of the writer.
    Length(u64),
    /// In chunks.
    Chunked,
    /// As it is, until the connection ends.
    Raw,
}

/// A body that does not have the length that its head announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body does not have the length that was announced")]
pub struct WrongLength;

/// What waits to be written to one connection.
#[derive(Debug, Default)]
pub struct Output {
    /// A vector and not a buffer of shared bytes: nothing of it is handed on, and adding to it costs half.
    gathered: Vec<u8>,
    /// So much of it has been written.
    written: usize,
    large: Bytes,
    /// A chunk's line end, due after `large`.
    crlf: bool,
}

impl Output {
    /// Where heads are written to; only valid while [`Output::has_room`].
    pub fn head(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.large.is_empty());
        &mut self.gathered
    }

    /// Whether another piece can be added before the next write.
    pub fn has_room(&self) -> bool {
        self.large.is_empty() && self.waiting().len() < 2 * COPIED
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting().is_empty() && self.large.is_empty() && !self.crlf
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.waiting().len() + self.large.len() + usize::from(self.crlf) * 2
    }

    /// What of the gathered bytes waits.
    fn waiting(&self) -> &[u8] {
        &self.gathered[self.written..]
    }

    /// Adds a piece of a body.
    ///
    /// # Errors
    /// When a body with a length turns out longer.
    pub fn frame(
        &mut self,
        frame: Frame<Bytes>,
        coding: &mut Coding,
    ) -> Result<Option<HeaderMap>, WrongLength> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return Ok(frame.into_trailers().ok()),
        };
        if data.is_empty() {
            return Ok(None);
        }
        match coding {
            Coding::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(WrongLength)?
            }
            Coding::Chunked => {
                chunked::write_size(&mut self.gathered, data.len());
                self.crlf = true;
            }
            Coding::Raw => {}
        }
        if data.len() > COPIED {
            self.large = data;
            return Ok(None);
        }
        self.gathered.extend_from_slice(&data);
        if std::mem::take(&mut self.crlf) {
            self.gathered.extend_from_slice(b"\r\n");
        }
        Ok(None)
    }

    /// Adds the end of a body.
    ///
    /// # Errors
    /// When a body with a length turns out shorter.
    pub fn end(&mut self, coding: Coding, trailers: Option<&HeaderMap>) -> Result<(), WrongLength> {
        match coding {
            Coding::Length(0) | Coding::Raw => Ok(()),
            Coding::Length(_) => Err(WrongLength),
            Coding::Chunked => {
                debug_assert!(self.large.is_empty());
                chunked::write_end(&mut self.gathered, trailers);
                Ok(())
            }
        }
    }

    /// Writes until nothing waits.
    ///
    /// # Errors
    /// Those of the stream; a stream that takes nothing counts as one.
    pub fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = if self.large.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, self.waiting()))?
            } else {
                let slices = [
                    IoSlice::new(self.waiting()),
                    IoSlice::new(&self.large),
                    IoSlice::new(if self.crlf { b"\r\n" } else { b"" }),
                ];
                let first = usize::from(self.waiting().is_empty());
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[first..]))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        let gathered = written.min(self.waiting().len());
        self.written += gathered;
        let written = written - gathered;
        let large = written.min(self.large.len());
        self.large.advance(large);
        if !self.waiting().is_empty() {
            // A client that always leaves something would otherwise keep all that it ever took.
            if self.written >= COPIED {
                self.gathered.drain(..self.written);
                self.written = 0;
            }
            return;
        }
        self.gathered.clear();
        self.written = 0;
        if !self.large.is_empty() {
            return;
        }
        if std::mem::take(&mut self.crlf) {
            // Whatever of the line end is left is gathered: it may stand alone, or before the next chunk.
            self.gathered.extend_from_slice(&b"\r\n"[written - large..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes a few bytes at a time.
    struct Narrow {
        taken: Vec<u8>,
        step: usize,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            let take = data.len().min(self.step);
            self.taken.extend_from_slice(&data[..take]);
            Poll::Ready(Ok(take))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let before = self.taken.len();
            let step = self.step;
            let bytes = data.iter().flat_map(|slice| slice.iter().copied());
            self.taken.extend(bytes.take(step));
            let take = self.taken.len() - before;
            Poll::Ready(Ok(take))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    proptest! {
        #[test]
        fn every_byte_leaves_once_and_in_order(
            sizes in prop::collection::vec(prop_oneof![1_usize..100, COPIED - 2..COPIED + 100], 0..6),
            step in prop_oneof![1_usize..10, 1000_usize..20_000],
            chunked in any::<bool>(),
        ) {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let mut stream = Narrow { taken: Vec::new(), step };
            let mut output = Output::default();
            let total: usize = sizes.iter().sum();
            let mut coding = if chunked { Coding::Chunked } else { Coding::Length(total as u64) };
            let mut expected = b"head\r\n".to_vec();
            output.head().extend_from_slice(b"head\r\n");
            for (i, size) in sizes.iter().enumerate() {
                if !output.has_room() {
                    prop_assert!(output.poll_write(&mut stream, &mut cx).is_ready());
                }
                let data = vec![u8::try_from(i).expect("few"); *size];
                if chunked {
                    expected.extend(format!("{size:x}\r\n").bytes());
                }
                expected.extend(&data);
                if chunked {
                    expected.extend(b"\r\n");
                }
                prop_assert!(output.frame(Frame::data(data.into()), &mut coding).expect("fits").is_none());
            }
            prop_assert!(output.poll_write(&mut stream, &mut cx).is_ready());
            output.end(coding, None).expect("fits");
            if chunked {
                expected.extend(b"0\r\n\r\n");
            }
            prop_assert!(output.poll_write(&mut stream, &mut cx).is_ready());
            prop_assert!(output.is_empty());
            prop_assert_eq!(stream.taken, expected);
        }
    }

    /// Takes less than it is offered, and then wants to be asked again.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        full: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            data: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.full = !self.full;
            if !self.full {
                return Poll::Pending;
            }
            let take = data.len().min(COPIED * 3 / 4);
            self.taken.extend_from_slice(&data[..take]);
            Poll::Ready(Ok(take))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_client_that_always_leaves_something_costs_no_more_with_time() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let (mut slow, mut output) = (Slow::default(), Output::default());
        let mut expected = Vec::new();
        for turn in 0..2000_u32 {
            while output.has_room() {
                let data = vec![turn.to_le_bytes()[0]; COPIED];
                expected.extend_from_slice(&data);
                let frame = Frame::data(Bytes::from(data));
                assert_eq!(output.frame(frame, &mut Coding::Raw), Ok(None));
            }
            assert!(output.poll_write(&mut slow, &mut cx).is_pending());
            assert!(output.gathered.capacity() <= 8 * COPIED, "turn {turn}");
        }
        assert!(slow.taken.len() > 1000 * COPIED && expected.starts_with(&slow.taken));
    }

    #[test]
    fn a_body_of_another_length_is_an_error() {
        let mut output = Output::default();
        assert_eq!(
            output.frame(
                Frame::data(Bytes::from_static(b"four")),
                &mut Coding::Length(3)
            ),
            Err(WrongLength)
        );
        assert_eq!(output.end(Coding::Length(1), None), Err(WrongLength));
    }
}
