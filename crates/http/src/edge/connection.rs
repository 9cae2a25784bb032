//! One HTTP/1 connection, from its first byte to its last.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use tower_service::Service;

use super::encode::{self, After};
use super::head::{self, Head, Heads, Reject};
use super::io::{Expect, Io, Shared};
use super::stream::Stream;
use super::{Edge, Peer};
use crate::body::RequestBody;
use crate::drain::{Listener, Phase, says_event_stream};
use crate::error::BodyError;
use crate::exchange::{Exchange, Interim};
use crate::h1::decoder::{Decoder, Step};
use crate::h1::output::{Coding, Output};
use crate::h1::spare;
use crate::overlay::{Lines, Overlay};
use crate::timer::Alarm;

/// A body that was not wanted is read over up to this size, so that the connection can be used again.
const READ_OVER: usize = 256 * 1024;
/// A client that reset the connection is noticed after this long, when the app has not answered by then.
const WATCH_AFTER: Duration = Duration::from_millis(500);
/// How long a closing connection waits for the client to have read the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Serves HTTP/1 on `stream` until either side is done with it. `first` holds what was read already.
pub async fn serve_http1<S, Svc, B>(
    stream: S,
    first: BytesMut,
    peer: Peer,
    edge: Rc<Edge>,
    mut service: Svc,
) where
    S: Stream,
    Svc: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error = BodyError>,
{
    let io = Io {
        stream,
        input: first,
        output: Output::default(),
        decoder: Decoder::Done,
        expect: Expect::Nothing,
        ended: false,
        lost: false,
        stall: edge.timer.alarm(),
        stall_after: edge.stall,
    };
    let mut connection = Connection {
        io: Rc::new(Shared(RefCell::new(io))),
        heads: Heads::new(edge.limits),
        alarm: edge.timer.alarm(),
        listener: edge.drain.listen(),
        interim: Interim::default(),
        overlay: Overlay::default(),
        peer,
        edge,
    };
    loop {
        let next = match connection.next_head().await {
            Ok(Some(head)) => connection.exchange(head, &mut service).await,
            Ok(None) => Next::Close,
            Err(reject) => connection.refuse(reject).await,
        };
        match next {
            Next::Request => {}
            Next::Close => return,
            Next::Linger => return connection.linger().await,
            Next::Reset => return connection.io.0.borrow().stream.reset_on_close(),
        }
    }
}

/// What becomes of the connection.
enum Next {
    /// Another request may come.
    Request,
    /// Nobody is there any more, or nothing is left to say.
    Close,
    /// Close once the client has read what was written.
    Linger,
    /// Close so that the client sees that something is missing.
    Reset,
}

struct Connection<S> {
    io: Rc<Shared<S>>,
    heads: Heads,
    edge: Rc<Edge>,
    alarm: Alarm,
    listener: Listener,
    interim: Interim,
    overlay: Overlay,
    peer: Peer,
}

/// What of a request is needed to write its answer.
struct Asked {
    version: Version,
    head_only: bool,
    close: bool,
}

impl<S: Stream> Connection<S> {
    /// Waits for the next head. `None` when the connection ended, or idled too long.
    async fn next_head(&mut self) -> Result<Option<Head>, Reject> {
        self.alarm.set(self.edge.idle);
        let mut begun = false;
        poll_fn(|cx| {
            let mut io = self.io.0.borrow_mut();
            loop {
                // As it comes: each wrapping is a copy of the head.
                match self.heads.next(&mut io.input) {
                    Ok(None) => {}
                    done => return Poll::Ready(done),
                }
                if !begun && !io.input.is_empty() {
                    begun = true;
                    self.alarm.set(self.edge.header_timeout);
                }
                match io.poll_fill(cx) {
                    Poll::Ready(Ok(true)) => {}
                    Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(Ok(None)),
                    Poll::Pending => break,
                }
            }
            if self.alarm.poll_due(cx).is_ready() {
                return Poll::Ready(if begun {
                    Err(Reject::head_timeout())
                } else {
                    Ok(None)
                });
            }
            match self.listener.poll_phase(cx) {
                Phase::Cut => Poll::Ready(Ok(None)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Has one request answered, and writes the answer.
    async fn exchange<Svc, B>(&mut self, head: Head, service: &mut Svc) -> Next
    where
        Svc: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        B: Body<Data = Bytes, Error = BodyError>,
    {
        let version = head.request.version();
        let asked = Asked {
            version,
            head_only: head.request.method() == Method::HEAD,
            close: head.connection.close
                || (version == Version::HTTP_10 && !head.connection.keep_alive),
        };
        let request = self.begin(head);
        let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
        let answer = self.answer(pin!(service.call(request))).await;
        let Some(response) = answer else {
            return Next::Close;
        };
        // What the app said in one breath with its answer, it still said first.
        while let Some((status, headers)) = self.interim.next() {
            pass_on(&mut self.io.0.borrow_mut(), status, &headers);
        }
        let (response, body) = response.into_parts();
        let next = self
            .write(&asked, response.status, &response.headers, pin!(body))
            .await;
        spare::keep_headers(response.headers);
        match next {
            Next::Request => self.read_over().await,
            other => other,
        }
    }

    fn begin(&self, head: Head) -> Request<RequestBody> {
        self.io.0.borrow_mut().expect = Expect::Nothing;
        let mut exchange = Exchange::new(Instant::now(), self.peer.address, self.peer.secure);
        exchange.upgrade = head.upgrade;
        exchange.expects_continue = head.expects_continue;
        // RFC 9110, section 15.2: HTTP/1.0 knows no informational answers, and would take one for the answer.
        exchange.interim =
            (head.request.version() == Version::HTTP_11).then(|| self.interim.clone());
        self.overlay.lines().clear();
        exchange.overlay = Some(self.overlay.clone());
        exchange.heard = Some(self.edge.drain.id());
        let decoder = Decoder::for_request(head.delimiter);
        let body = if decoder.is_done() && !head.upgrade {
            RequestBody::Empty
        } else {
            let mut io = self.io.0.borrow_mut();
            io.decoder = decoder;
            io.stall.set(self.edge.stall);
            io.expect = if head.expects_continue {
                Expect::Waiting
            } else {
                Expect::Nothing
            };
            RequestBody::Http1(self.io.clone())
        };
        let mut request = head.request.map(|()| body);
        request.extensions_mut().insert(exchange);
        request
    }

    /// Drives the service to its answer and passes on 1xx. `None` when the client went away.
    async fn answer<F, R>(&mut self, mut future: Pin<&mut F>) -> Option<R>
    where
        F: Future<Output = Result<R, Infallible>>,
    {
        self.alarm.set(WATCH_AFTER);
        let mut watching = false;
        poll_fn(|cx| {
            // Before the layers look at it: they rely on being polled again when it changes.
            self.listener.poll_phase(cx);
            if let Poll::Ready(Ok(response)) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            let mut io = self.io.0.borrow_mut();
            while let Some((status, headers)) = self.interim.poll_next(cx) {
                pass_on(&mut io, status, &headers);
            }
            if !io.output.is_empty() && matches!(io.poll_write(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(None);
            }
            if !watching {
                watching = self.alarm.poll_due(cx).is_ready();
            }
            if watching && io.decoder.is_done() && gone(&mut io, cx, false) {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    async fn write<B>(
        &mut self,
        asked: &Asked,
        status: StatusCode,
        headers: &HeaderMap,
        body: Pin<&mut B>,
    ) -> Next
    where
        B: Body<Data = Bytes, Error = BodyError>,
    {
        let upgraded = status == StatusCode::SWITCHING_PROTOCOLS;
        let bodiless = asked.head_only
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let coding = match body.size_hint().exact() {
            _ if upgraded => Coding::Raw,
            _ if bodiless => Coding::Length(0),
            length => encode::coding_for(asked.version, length),
        };
        let closing = {
            let io = self.io.0.borrow();
            asked.close
                || (coding == Coding::Raw && !upgraded)
                || self.edge.drain.phase() != Phase::Serving
                || io.expect == Expect::Waiting
                || io.decoder.size_hint().lower() > READ_OVER as u64
                || io.lost
        };
        let after = match (upgraded, closing) {
            (true, _) => After::Upgrade,
            (_, true) => After::Close,
            _ if asked.version == Version::HTTP_10 => After::KeepAliveOld,
            _ => After::KeepAlive,
        };
        {
            let mut io = self.io.0.borrow_mut();
            // Too late for 100: it would stand between this head and its body.
            io.expect = Expect::Nothing;
            let framing = (!bodiless && !upgraded).then_some(coding);
            let mut laid = self.overlay.lines();
            let (out, timer) = (io.output.head(), &self.edge.timer);
            encode::write_head(out, status, headers, &mut laid, framing, after, timer);
        }
        let sent = if bodiless {
            self.flush().await.map_err(|_| Next::Close)
        } else {
            self.send_body(body, coding, headers).await
        };
        match sent {
            Err(next) => next,
            Ok(()) if upgraded => Next::Linger,
            Ok(()) if closing => Next::Linger,
            Ok(()) => Next::Request,
        }
    }

    /// Writes the body piece by piece, the head with the first one; asks for more only when the client took the last.
    async fn send_body<B>(
        &mut self,
        mut body: Pin<&mut B>,
        coding: Coding,
        headers: &HeaderMap,
    ) -> Result<(), Next>
    where
        B: Body<Data = Bytes, Error = BodyError>,
    {
        let tunnel = coding == Coding::Raw;
        let mut answer = Answer {
            coding,
            trailers: None,
            ended: false,
        };
        let mut stalled = false;
        poll_fn(|cx| {
            self.listener.poll_phase(cx);
            loop {
                let Ok(waiting) = answer.pull(&self.io, body.as_mut(), cx) else {
                    return Poll::Ready(Err(Next::Reset));
                };
                let mut io = self.io.0.borrow_mut();
                match io.poll_write(cx) {
                    Poll::Ready(Ok(())) => stalled = false,
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Next::Close)),
                    Poll::Pending => {
                        if !std::mem::replace(&mut stalled, true) {
                            self.alarm.set(self.edge.stall);
                        }
                        return self.alarm.poll_due(cx).map(|()| Err(Next::Reset));
                    }
                }
                if answer.ended {
                    return Poll::Ready(Ok(()));
                }
                if waiting {
                    let gone = !tunnel
                        && io.decoder.is_done()
                        && gone(&mut io, cx, says_event_stream(headers));
                    return if gone {
                        Poll::Ready(Err(Next::Close))
                    } else {
                        Poll::Pending
                    };
                }
            }
        })
        .await
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.io.0.borrow_mut().poll_write(cx)).await
    }

    /// Reads over what is left of a body that nobody wanted.
    async fn read_over(&mut self) -> Next {
        if self.io.0.borrow().decoder.is_done() {
            return Next::Request;
        }
        let mut left = READ_OVER;
        self.alarm.set(LINGER);
        poll_fn(|cx| {
            let mut io = self.io.0.borrow_mut();
            let io = &mut *io;
            loop {
                match io.decoder.step(&mut io.input, io.ended) {
                    Ok(Step::End) => return Poll::Ready(Next::Request),
                    Ok(Step::Frame(frame)) => {
                        let size = frame.data_ref().map_or(0, Bytes::len);
                        let Some(rest) = left.checked_sub(size) else {
                            return Poll::Ready(Next::Linger);
                        };
                        left = rest;
                    }
                    Ok(Step::NeedMore) => match io.poll_fill(cx) {
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(_)) => return Poll::Ready(Next::Close),
                        Poll::Pending => {
                            return self.alarm.poll_due(cx).map(|()| Next::Linger);
                        }
                    },
                    Err(_) => return Poll::Ready(Next::Linger),
                }
            }
        })
        .await
    }

    /// Answers a head that cannot be served, and closes.
    async fn refuse(&mut self, reject: Reject) -> Next {
        let response = self.edge.refusal(&reject, self.peer);
        if self.edge.http2 && reject.reason == head::NOT_HTTP.reason {
            // RFC 9113, section 3.4: a broken preface ends the connection; an HTTP/1 answer would not be understood.
            return Next::Close;
        }
        {
            let mut io = self.io.0.borrow_mut();
            let coding = Coding::Length(response.body().len() as u64);
            encode::write_head(
                io.output.head(),
                response.status(),
                response.headers(),
                &mut Lines::default(),
                Some(coding),
                After::Close,
                &self.edge.timer,
            );
            io.output.head().extend_from_slice(response.body());
        }
        match self.flush().await {
            Ok(()) => Next::Linger,
            Err(_) => Next::Close,
        }
    }

    /// Ends our side first and reads until the client ends its own: closing with unread bytes would be a reset, which
    /// can overtake the answer.
    async fn linger(&mut self) {
        self.alarm.set(LINGER);
        poll_fn(|cx| {
            let mut io = self.io.0.borrow_mut();
            let io = &mut *io;
            if Pin::new(&mut io.stream).poll_shutdown(cx).is_pending() {
                return self.alarm.poll_due(cx);
            }
            let mut left = READ_OVER;
            loop {
                io.input.clear();
                match io.poll_fill(cx) {
                    Poll::Ready(Ok(true)) if left > 0 => {
                        left = left.saturating_sub(io.input.len().max(1))
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.alarm.poll_due(cx),
                }
            }
        })
        .await;
    }
}

/// Writes an informational answer, but 100 only once: it may have been said already, when the body was asked for.
fn pass_on<S>(io: &mut Io<S>, status: StatusCode, headers: &HeaderMap) {
    if status == StatusCode::CONTINUE {
        match io.expect {
            Expect::Told => return,
            Expect::Waiting => io.expect = Expect::Told,
            Expect::Nothing => {}
        }
    }
    encode::write_interim(io.output.head(), status, headers);
}

/// A body on its way out.
struct Answer {
    coding: Coding,
    trailers: Option<HeaderMap>,
    ended: bool,
}

/// A body that cannot be completed: what was sent of it must not pass for all.
struct Incomplete;

impl Answer {
    /// Takes pieces of `body` while the output has room. Says whether the body keeps us waiting.
    fn pull<S, B>(
        &mut self,
        io: &Shared<S>,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Result<bool, Incomplete>
    where
        S: Stream,
        B: Body<Data = Bytes, Error = BodyError>,
    {
        while !self.ended && io.0.borrow().output.has_room() {
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let added = io.0.borrow_mut().output.frame(frame, &mut self.coding);
                    if let Some(trailers) = added.map_err(|_| Incomplete)? {
                        self.trailers = Some(trailers);
                    }
                }
                Poll::Ready(None) => {
                    self.ended = true;
                    let ended =
                        io.0.borrow_mut()
                            .output
                            .end(self.coding, self.trailers.as_ref());
                    ended.map_err(|_| Incomplete)?;
                }
                Poll::Ready(Some(Err(_))) => return Err(Incomplete),
                Poll::Pending => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Whether the client went away. A client that ended its side may still read, unless it reads a stream without end.
fn gone<S: Stream>(io: &mut Io<S>, cx: &mut Context<'_>, end_is_gone: bool) -> bool {
    while !io.ended && io.input.len() < READ_OVER {
        match io.poll_fill(cx) {
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(_)) => return true,
            Poll::Pending => return false,
        }
    }
    io.ended && end_is_gone
}
