//! What a client sends after the head.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Tunnel;
use crate::error::BodyError;

/// The connection behind an HTTP/1 body. A trait object, so that bodies do not name the kind of their connection.
pub trait Source {
    /// The next piece of the body.
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>>;

    /// What is still to come.
    fn size_hint(&self) -> SizeHint;

    /// Whether nothing is still to come.
    fn is_done(&self) -> bool;

    /// Everything from here on is raw bytes.
    fn start_tunnel(&self);
}

/// The body of a request, as the edge delivers it.
#[derive(Default)]
pub enum RequestBody {
    /// There is none.
    #[default]
    Empty,
    /// Read from an HTTP/1 connection as it is polled, so that a slow app slows the client down.
    Http1(Rc<dyn Source>),
    /// A stream of an HTTP/2 connection.
    Http2(hyper::body::Incoming),
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "RequestBody::Empty",
            Self::Http1(_) => "RequestBody::Http1",
            Self::Http2(_) => "RequestBody::Http2",
        })
    }
}

impl Tunnel for RequestBody {
    fn start_tunnel(&mut self) {
        if let Self::Http1(source) = self {
            source.start_tunnel();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(source) => source.poll_frame(cx),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::from),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(source) => source.is_done(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(source) => source.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
