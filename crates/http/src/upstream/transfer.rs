//! One exchange with the app: the request goes out and the answer comes in, both at once.
//!
//! There is no task behind it. Whoever polls for the answer also moves the request's body, before the answer's head and
//! between its pieces, so that an app may answer while it is still being sent to.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::connection::Connection;
use super::pool::Lease;
use super::pulse::Beat;
use super::response::{self, Head};
use crate::body::Tunnel;
use crate::error::BodyError;
use crate::exchange::Exchange;
use crate::fault;
use crate::h1::decoder::{Decoder, Step};
use crate::h1::framing::Delimiter;
use crate::h1::output::{Coding, Output};
use crate::h1::spare;
use crate::timer::Alarm;

/// An app that says neither 100 nor anything final within this long gets the body anyway, as curl does it.
pub(super) const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// A request that may have to be written again.
#[derive(Debug)]
pub(super) struct Sending(pub(super) Parts);

impl Sending {
    /// What is known of the request. It stays where it is: taken out, it would be the larger half of a transfer.
    pub(super) fn exchange(&self) -> Option<&Exchange> {
        self.0.extensions.get()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        spare::keep_headers(std::mem::take(&mut self.0.headers));
        spare::keep_extensions(std::mem::take(&mut self.0.extensions));
    }
}

/// See the [module documentation](self). Boxed once, because it travels through every layer of the stack on its way back.
pub(super) struct Transfer<B> {
    sending: Sending,
    connection: Option<Box<Connection>>,
    lease: Lease,
    keep: usize,
    upload: Upload<B>,
    coding: Coding,
    trailers: Option<HeaderMap>,
    decoder: Decoder,
    keep_alive: bool,
    answered: bool,
    taken: bool,
}

/// The request's body on its way.
enum Upload<B> {
    /// Not before the app says 100, or the alarm goes off.
    Held(B, Alarm),
    Running(B),
    /// All of it is in the output.
    Done,
    /// The app takes no more; it may still answer why.
    Refused,
    /// A tunnel whose client has ended its side, which the app still has to be told.
    Ending,
}

/// An exchange that came to nothing before the head of an answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) cause: Cause,
    pub(super) reused: bool,
    pub(super) sent: bool,
    pub(super) answered: bool,
    pub(super) body_taken: bool,
}

#[derive(Debug)]
pub(super) enum Cause {
    /// The connection ended or failed.
    Lost,
    /// The answer is not HTTP, or ambiguous.
    Malformed(&'static str),
    /// The client's side failed.
    Body(BodyError),
}

impl<B> Transfer<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Tunnel + Unpin,
{
    /// Begins an exchange; the head of the request is in the output of `connection` already.
    pub(super) fn new(
        sending: Sending,
        connection: Box<Connection>,
        lease: Lease,
        keep: usize,
        body: B,
        coding: Option<Coding>,
        hold: Option<Alarm>,
    ) -> Box<Self> {
        let upload = match (coding, hold) {
            (Some(_), Some(alarm)) => Upload::Held(body, alarm),
            // Without a coding there is nothing to send, but a switch of protocols will need the body.
            _ => Upload::Running(body),
        };
        Box::new(Self {
            sending,
            connection: Some(connection),
            lease,
            keep,
            upload,
            coding: coding.unwrap_or(Coding::Length(0)),
            trailers: None,
            decoder: Decoder::Done,
            keep_alive: false,
            answered: false,
            taken: false,
        })
    }

    pub(super) fn endpoint(&self) -> u64 {
        self.lease.endpoint()
    }

    /// The request and its body, if it can be sent again.
    pub(super) fn into_request(self) -> Option<(Sending, B)> {
        match self.upload {
            Upload::Held(body, _) | Upload::Running(body) => Some((self.sending, body)),
            Upload::Done | Upload::Refused | Upload::Ending => None,
        }
    }

    /// The head of the final answer.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Failed>> {
        loop {
            if let Err(error) = self.send(cx) {
                return Poll::Ready(Err(self.failed(Cause::Body(error))));
            }
            if self.lease.beat().is_some() && self.is_sent() {
                self.lease.beat().into_iter().for_each(Beat::sent);
            }
            let Some(connection) = &mut self.connection else {
                return Poll::Ready(Err(self.failed(Cause::Lost)));
            };
            match response::parse(&mut connection.input, &mut connection.recent) {
                Ok(Some(head)) => {
                    self.answered = true;
                    match self.accept(head) {
                        Ok(Some(head)) => {
                            if let Some(beat) = self.lease.beat() {
                                beat.answered(head.status.is_server_error());
                            }
                            return Poll::Ready(Ok(head));
                        }
                        Ok(None) => continue,
                        Err(what) => return Poll::Ready(Err(self.failed(Cause::Malformed(what)))),
                    }
                }
                Ok(None) => {}
                Err(what) => return Poll::Ready(Err(self.failed(Cause::Malformed(what)))),
            }
            match ready!(connection.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(Err(self.failed(Cause::Lost))),
            }
        }
    }

    /// Looks at a head. `None` when it was an informational one.
    fn accept(&mut self, head: Head) -> Result<Option<Head>, &'static str> {
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let exchange = self.sending.exchange();
            if !exchange.is_some_and(|exchange| exchange.upgrade) {
                return Err("the app switched protocols unasked");
            }
            self.decoder = Decoder::UntilClose;
            self.coding = Coding::Raw;
            if let Upload::Running(body) = &mut self.upload {
                body.start_tunnel();
            }
            return Ok(Some(head));
        }
        if head.status.is_informational() {
            if head.status == StatusCode::CONTINUE {
                self.release();
            }
            let exchange = self.sending.exchange();
            if let Some(interim) = exchange.and_then(|exchange| exchange.interim.as_ref()) {
                interim.send(head.status, head.headers);
            }
            return Ok(None);
        }
        let bodiless = self.sending.0.method == Method::HEAD
            || head.status == StatusCode::NO_CONTENT
            || head.status == StatusCode::NOT_MODIFIED;
        self.decoder = if bodiless {
            Decoder::Done
        } else {
            Decoder::for_response(head.delimiter)
        };
        self.keep_alive = head.keep_alive && (bodiless || head.delimiter != Delimiter::None);
        if let Upload::Held(..) = self.upload {
            // A final answer instead of 100: the body stays with the client, and this connection cannot be used again.
            self.upload = Upload::Refused;
        }
        Ok(Some(head))
    }

    fn release(&mut self) {
        self.upload = match std::mem::replace(&mut self.upload, Upload::Refused) {
            Upload::Held(body, _) => Upload::Running(body),
            other => other,
        };
    }

    /// Moves the request. Only a failure of the client's side is an error: the app's shows when its answer is read.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        loop {
            self.pull(cx)?;
            let Some(connection) = &mut self.connection else {
                return Ok(());
            };
            if connection.output.is_empty() {
                if matches!(self.upload, Upload::Ending) && connection.poll_shutdown(cx).is_ready()
                {
                    self.upload = Upload::Done;
                }
                return Ok(());
            }
            match connection.poll_write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => {
                    self.keep_alive = false;
                    if self.taken {
                        self.upload = Upload::Refused;
                    }
                    // What waits would be tried again for ever.
                    connection.output = Output::default();
                    return Ok(());
                }
            }
        }
    }

    /// Takes pieces of the request's body while the output has room.
    fn pull(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        while connection.output.has_room() {
            if let Upload::Held(_, alarm) = &mut self.upload {
                if alarm.poll_due(cx).is_pending() {
                    break;
                }
                self.upload = match std::mem::replace(&mut self.upload, Upload::Refused) {
                    Upload::Held(body, _) => Upload::Running(body),
                    other => other,
                };
            }
            let Upload::Running(body) = &mut self.upload else {
                break;
            };
            if body.is_end_stream() && self.coding == Coding::Length(0) {
                // Keeps the body: a switch of protocols turns it into a tunnel.
                break;
            }
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(frame)) => {
                    self.taken = true;
                    let frame = frame?;
                    if let (Some(beat), Some(data)) = (self.lease.beat(), frame.data_ref()) {
                        beat.took(data.len() as u64);
                    }
                    let added = connection.output.frame(frame, &mut self.coding);
                    let added =
                        added.map_err(|_| BodyError::Malformed("more bytes than announced"));
                    if let Some(trailers) = added? {
                        self.trailers = Some(trailers);
                    }
                }
                Poll::Ready(None) => {
                    let tunnel = self.coding == Coding::Raw;
                    self.upload = if tunnel { Upload::Ending } else { Upload::Done };
                    let ended = connection.output.end(self.coding, self.trailers.as_ref());
                    ended.map_err(|_| BodyError::Truncated)?;
                }
            }
        }
        Ok(())
    }

    /// The next piece of the answer's body.
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Err(error) = self.send(cx) {
            self.connection = None;
            return Poll::Ready(Some(Err(error)));
        }
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(None);
        };
        loop {
            match self.decoder.step(&mut connection.input, connection.ended) {
                Ok(Step::Frame(frame)) => {
                    if let Some(beat) = self.lease.beat() {
                        beat.moved();
                    }
                    if self.decoder.is_done() {
                        self.finish();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(Step::End) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Ok(Step::NeedMore) => match ready!(connection.poll_fill(cx)) {
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Some(Err(self.broke_off(error.into())))),
                },
                Err(error) => return Poll::Ready(Some(Err(self.broke_off(error)))),
            }
        }
    }

    /// The app's side failed in the middle of its answer, which nobody can mend any more.
    fn broke_off(&mut self, error: BodyError) -> BodyError {
        self.connection = None;
        let exchange = self.sending.exchange();
        fault::broke_off(
            &error,
            exchange.and_then(|exchange| exchange.request_id.as_ref()),
        );
        error
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.decoder.is_done()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.decoder.size_hint()
    }

    /// Gives the connection back when both directions are complete; closes it otherwise.
    pub(super) fn finish(&mut self) {
        let sent = self.is_sent();
        let connection = self.connection.take();
        if let Some(connection) = connection.filter(|_| sent && self.keep_alive) {
            self.lease.give_back(connection, self.keep);
        }
    }

    /// Whether all of the request has been handed over.
    fn is_sent(&self) -> bool {
        match &self.upload {
            Upload::Done => true,
            Upload::Running(body) => self.coding == Coding::Length(0) && body.is_end_stream(),
            Upload::Held(..) | Upload::Refused | Upload::Ending => false,
        }
    }

    fn failed(&mut self, cause: Cause) -> Failed {
        if let (Some(beat), Cause::Lost | Cause::Malformed(_)) = (self.lease.beat(), &cause) {
            beat.lost();
        }
        let connection = self.connection.take();
        Failed {
            cause,
            reused: connection
                .as_ref()
                .is_some_and(|connection| connection.reused),
            sent: connection
                .as_ref()
                .is_some_and(|connection| connection.sent),
            answered: self.answered
                || connection
                    .as_ref()
                    .is_some_and(|connection| !connection.input.is_empty()),
            body_taken: self.taken,
        }
    }
}

impl<B> std::fmt::Debug for Transfer<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer")
            .field("decoder", &self.decoder)
            .finish_non_exhaustive()
    }
}
