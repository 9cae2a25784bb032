//! A request body that can be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::body::Tunnel;
use crate::error::BodyError;

/// The body of one try.
#[derive(Debug)]
pub struct Kept<B>(Kind<B>);

#[derive(Debug)]
enum Kind<B> {
    /// Nobody will want it again.
    Plain(B),
    /// There was none, and there is none again.
    Nothing,
    /// Read from a tape that outlives the try.
    Taped {
        tape: Tape<B>,
        turn: u32,
        next: usize,
    },
}

/// What has passed of a body, and where the rest comes from.
#[derive(Debug)]
pub(super) struct Tape<B>(Arc<Mutex<Reel<B>>>);

impl<B> Clone for Tape<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[derive(Debug)]
struct Reel<B> {
    rest: B,
    pieces: Vec<Piece>,
    room: usize,
    /// More passed than there was room for, so the beginning is gone.
    torn: bool,
    touched: bool,
    /// The try whose body may read.
    turn: u32,
}

#[derive(Debug, Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl<B> Kept<B> {
    /// A body that is sent once.
    pub(super) fn plain(body: B) -> Self {
        Self(Kind::Plain(body))
    }

    /// No body.
    pub(super) fn nothing() -> Self {
        Self(Kind::Nothing)
    }
}

impl<B> Tape<B> {
    /// Keeps up to `room` bytes of `body`.
    pub(super) fn new(body: B, room: usize) -> Self {
        Self(Arc::new(Mutex::new(Reel {
            rest: body,
            pieces: Vec::new(),
            room,
            torn: false,
            touched: false,
            turn: 0,
        })))
    }

    /// The body of the next try, from the beginning; that of the one before is over.
    pub(super) fn play(&self) -> Kept<B> {
        let mut reel = self.reel();
        reel.turn = reel.turn.wrapping_add(1);
        Kept(Kind::Taped {
            tape: self.clone(),
            turn: reel.turn,
            next: 0,
        })
    }

    /// Whether all that has passed is still there.
    pub(super) fn is_whole(&self) -> bool {
        !self.reel().torn
    }

    /// Whether the client has been asked for any of it.
    pub(super) fn is_touched(&self) -> bool {
        self.reel().touched
    }

    fn reel(&self) -> MutexGuard<'_, Reel<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Reel<B> {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if self.torn {
            return;
        }
        if let Some(data) = frame.data_ref() {
            match self.room.checked_sub(data.len()) {
                Some(room) => {
                    self.room = room;
                    self.pieces.push(Piece::Data(data.clone()));
                }
                None => {
                    self.torn = true;
                    self.pieces = Vec::new();
                }
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            self.pieces.push(Piece::Trailers(trailers.clone()));
        }
    }
}

impl<B: Tunnel> Tunnel for Kept<B> {
    fn start_tunnel(&mut self) {
        // A request that may switch protocols is never taped.
        if let Kind::Plain(body) = &mut self.0 {
            body.start_tunnel();
        }
    }
}

impl<B> Body for Kept<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let (tape, turn, next) = match &mut self.get_mut().0 {
            Kind::Plain(body) => return Pin::new(body).poll_frame(cx),
            Kind::Nothing => return Poll::Ready(None),
            Kind::Taped { tape, turn, next } => (tape, *turn, next),
        };
        let mut reel = tape.reel();
        if reel.turn != turn {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        if let Some(piece) = reel.pieces.get(*next) {
            let frame = match piece.clone() {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            };
            *next += 1;
            return Poll::Ready(Some(Ok(frame)));
        }
        reel.touched = true;
        let polled = Pin::new(&mut reel.rest).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            reel.keep(frame);
            *next = reel.pieces.len();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Plain(body) => body.is_end_stream(),
            Kind::Nothing => true,
            Kind::Taped { tape, next, .. } => {
                let reel = tape.reel();
                *next >= reel.pieces.len() && reel.rest.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Plain(body) => body.size_hint(),
            Kind::Nothing => SizeHint::with_exact(0),
            Kind::Taped { tape, next, .. } => {
                let reel = tape.reel();
                let ahead = reel.pieces.iter().skip(*next).map(|piece| match piece {
                    Piece::Data(data) => data.len() as u64,
                    Piece::Trailers(_) => 0,
                });
                let (ahead, rest) = (ahead.sum::<u64>(), reel.rest.size_hint());
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower().saturating_add(ahead));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(ahead));
                }
                hint
            }
        }
    }
}
