//! The body of the app's answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::transfer::Transfer;
use crate::body::Tunnel;
use crate::error::BodyError;

/// Streams from the app as it is polled; dropping it early closes the connection, which tells the app to stop.
#[derive(Debug)]
pub struct UpstreamBody<B>(pub(super) Box<Transfer<B>>);

impl<B> Body for UpstreamBody<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Tunnel + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().0.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl<B> Unpin for UpstreamBody<B> {}
