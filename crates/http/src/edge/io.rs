//! A client's connection, shared between the task that writes answers and the body that reads requests.
//!
//! Both run on one task, one after the other, so a `RefCell` is all the sharing takes.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::stream::Stream;
use crate::body::Source;
use crate::error::BodyError;
use crate::h1::decoder::{Decoder, Step};
use crate::h1::output::Output;
use crate::timer::Alarm;

/// Room for a read while heads are expected.
const SMALL_READ: usize = 8 * 1024;
/// Room for a read while a body comes in.
const LARGE_READ: usize = 64 * 1024;

/// What a client that sent `Expect: 100-continue` was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// It did not ask.
    Nothing,
    /// Nothing yet: the body will not come before it hears something.
    Waiting,
    /// To go on.
    Told,
}

#[derive(Debug)]
pub(super) struct Io<S> {
    pub(super) stream: S,
    pub(super) input: BytesMut,
    pub(super) output: Output,
    /// What is left of the current request's body.
    pub(super) decoder: Decoder,
    pub(super) expect: Expect,
    /// The client will send nothing more.
    pub(super) ended: bool,
    /// A body was malformed, cut short or late: where the next request would begin is anybody's guess.
    pub(super) lost: bool,
    /// Goes off when a body stops coming.
    pub(super) stall: Alarm,
    pub(super) stall_after: Duration,
}

impl<S: Stream> Io<S> {
    /// Reads more. `Ready(Ok(false))` is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let room = self.input.capacity() - self.input.len();
        if room < SMALL_READ / 2 {
            self.input.reserve(if self.decoder.is_done() {
                SMALL_READ
            } else {
                LARGE_READ
            });
        }
        let read = ready!(tokio_util::io::poll_read_buf(
            Pin::new(&mut self.stream),
            cx,
            &mut self.input
        ))?;
        self.ended = read == 0;
        Poll::Ready(Ok(!self.ended))
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.output.poll_write(&mut self.stream, cx))?;
        // TLS holds back what the socket did not take; for a plain socket this does nothing.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.expect == Expect::Waiting && !self.decoder.is_done() {
            self.expect = Expect::Told;
            self.output
                .head()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            if let Poll::Ready(Err(error)) = self.poll_write(cx) {
                return Poll::Ready(Some(Err(error.into())));
            }
        }
        loop {
            match self.decoder.step(&mut self.input, self.ended) {
                Ok(Step::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::NeedMore) => match self.poll_fill(cx) {
                    Poll::Ready(Ok(_)) => self.stall.set(self.stall_after),
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                    // A tunnel may be silent for as long as its own limit says.
                    Poll::Pending if matches!(self.decoder, Decoder::UntilClose) => {
                        return Poll::Pending;
                    }
                    Poll::Pending => {
                        ready!(self.stall.poll_due(cx));
                        return Poll::Ready(Some(Err(BodyError::Idle(self.stall_after))));
                    }
                },
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

/// The connection as bodies hold it.
#[derive(Debug)]
pub(super) struct Shared<S>(pub(super) RefCell<Io<S>>);

impl<S: Stream> Source for Shared<S> {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut io = self.0.borrow_mut();
        let frame = io.poll_frame(cx);
        io.lost |= matches!(frame, Poll::Ready(Some(Err(_))));
        frame
    }

    fn size_hint(&self) -> SizeHint {
        self.0.borrow().decoder.size_hint()
    }

    fn is_done(&self) -> bool {
        self.0.borrow().decoder.is_done()
    }

    fn start_tunnel(&self) {
        self.0.borrow_mut().decoder = Decoder::UntilClose;
    }
}
