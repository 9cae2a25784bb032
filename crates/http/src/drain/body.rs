//! A response body that knows how to leave.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::websocket::FrameBoundary;
use super::{Inside, Phase};
use crate::error::BodyError;

pin_project! {
    /// Counts its request as inside until it ends, and ends at the deadline in the way its kind allows.
    #[derive(Debug)]
    pub struct DrainBody<B> {
        #[pin]
        inner: B,
        inside: Option<Inside>,
        kind: Kind,
        ended: bool,
    }
}

#[derive(Debug)]
enum Kind {
    /// May only end where the app ends it.
    Plain,
    /// `text/event-stream`: may end after any event; clients reconnect.
    Events,
    /// A WebSocket: may end between two frames, with a close frame.
    WebSocket(Box<FrameBoundary>),
}

impl Kind {
    fn of<B: Body>(response: &Response<B>) -> Self {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if (response.headers()).contains_key(header::SEC_WEBSOCKET_ACCEPT) {
                return Self::WebSocket(Box::default());
            }
        } else if is_event_stream(response) {
            return Self::Events;
        }
        Self::Plain
    }
}

/// Whether a response is an event stream. What has a length is none, whatever it says of itself: it ends by itself, and may
/// not end sooner. Nearly every answer has one, and is told apart without a look into its fields.
pub(crate) fn is_event_stream<B: Body>(response: &Response<B>) -> bool {
    response.body().size_hint().exact().is_none() && says_event_stream(response.headers())
}

/// Whether a response calls itself an event stream.
pub(crate) fn says_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .get(..17)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
    })
}

impl<B: Body> DrainBody<B> {
    pub(super) fn wrap(response: Response<B>, inside: Option<Inside>) -> Response<Self> {
        let kind = Kind::of(&response);
        response.map(|inner| Self {
            inner,
            inside,
            kind,
            ended: false,
        })
    }
}

impl<B> Body for DrainBody<B>
where
    B: Body<Data = Bytes, Error = BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let at_deadline = this.inside.as_ref().is_some_and(Inside::is_at_deadline);
        // Past the deadline a chatty stream is not asked for more, or it would never end.
        let may_continue = !at_deadline
            || matches!(this.kind, Kind::WebSocket(boundary) if !boundary.is_between_frames());
        if may_continue {
            match this.inner.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let (Kind::WebSocket(boundary), Some(data)) =
                        (&mut *this.kind, frame.data_ref())
                    {
                        boundary.pass(data);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(end) => {
                    *this.ended = true;
                    *this.inside = None;
                    return Poll::Ready(end);
                }
                Poll::Pending => {}
            }
            let phase = this
                .inside
                .as_mut()
                .map_or(Phase::Serving, |inside| inside.poll_phase(cx));
            if phase != Phase::Cut || at_deadline {
                return Poll::Pending;
            }
        }
        *this.ended = true;
        if let (Some(mut inside), Kind::Plain) = (this.inside.take(), &*this.kind) {
            inside.mark_cut();
        }
        match this.kind {
            Kind::Plain => Poll::Ready(Some(Err(BodyError::Cut))),
            Kind::Events => Poll::Ready(None),
            Kind::WebSocket(boundary) if boundary.is_between_frames() => Poll::Ready(Some(Ok(
                Frame::data(Bytes::from_static(super::websocket::SERVICE_RESTART)),
            ))),
            Kind::WebSocket(_) => Poll::Ready(Some(Err(BodyError::Cut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
