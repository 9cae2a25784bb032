//! A body that has to keep moving.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::error::BodyError;
use crate::timer::Timer;

pin_project! {
    /// Fails when nothing came for too long, or when its whole time is over.
    #[derive(Debug)]
    pub struct TimedBody<B, T: Timer> {
        #[pin]
        inner: B,
        // Boxed: few bodies ever need one, and each is handed through every layer above.
        sleep: Option<Pin<Box<T::Sleep>>>,
        timer: T,
        silence: Option<Duration>,
        total: Option<Pin<Box<T::Sleep>>>,
    }
}

impl<B, T: Timer> TimedBody<B, T> {
    pub(super) fn new(
        inner: B,
        timer: T,
        silence: Option<Duration>,
        total: Option<Pin<Box<T::Sleep>>>,
    ) -> Self {
        Self {
            inner,
            sleep: None,
            timer,
            silence,
            total,
        }
    }
}

impl<B, T> Body for TimedBody<B, T>
where
    B: Body<Data = Bytes, Error = BodyError>,
    T: Timer,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(cx) {
            *this.sleep = None;
            return Poll::Ready(frame);
        }
        if let Some(silence) = *this.silence {
            // Armed only when the body keeps us waiting: most never do.
            let begin = || Box::pin(this.timer.sleep(silence));
            if this
                .sleep
                .get_or_insert_with(begin)
                .as_mut()
                .poll(cx)
                .is_ready()
            {
                return Poll::Ready(Some(Err(BodyError::Idle(silence))));
            }
        }
        if this
            .total
            .as_mut()
            .is_some_and(|total| total.as_mut().poll(cx).is_ready())
        {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
