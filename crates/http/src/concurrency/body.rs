//! A body that holds a place until it ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use seaworthy_core::concurrency::Place;
use smallvec::SmallVec;

pin_project! {
    /// See the [module documentation](self).
    #[derive(Debug)]
    pub struct PlaceBody<B> {
        #[pin]
        inner: B,
        places: SmallVec<[Place; 2]>,
    }
}

impl<B> PlaceBody<B> {
    pub(super) fn new(inner: B, places: SmallVec<[Place; 2]>) -> Self {
        Self { inner, places }
    }
}

impl<B: Body> Body for PlaceBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.places.clear();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
