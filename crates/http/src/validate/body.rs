//! A body of which the beginning, or all of it, has been read already.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::body::Tunnel;
use crate::error::BodyError;

/// What was read, frame by frame as it came, and then the rest.
#[derive(Debug)]
pub struct Checked<B> {
    read: VecDeque<Frame<Bytes>>,
    /// How many bytes of data wait in `read`.
    waiting: u64,
    rest: B,
    ended: bool,
}

impl<B> Checked<B> {
    /// A body that nobody has looked at.
    pub(super) fn untouched(rest: B) -> Self {
        Self {
            read: VecDeque::new(),
            waiting: 0,
            rest,
            ended: false,
        }
    }

    pub(super) fn push(&mut self, frame: Frame<Bytes>) {
        self.waiting += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.read.push_back(frame);
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn rest(&mut self) -> &mut B {
        &mut self.rest
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// All data that was read, in one piece. Frames are reference-counted, so a body of one frame is not copied.
    pub(super) fn whole(&self) -> Bytes {
        let mut data = self.read.iter().filter_map(Frame::data_ref);
        match (data.next(), data.next()) {
            (None, _) => Bytes::new(),
            (Some(only), None) => only.clone(),
            _ => {
                let all = || self.read.iter().filter_map(Frame::data_ref);
                let mut whole = BytesMut::with_capacity(all().map(Bytes::len).sum());
                all().for_each(|data| whole.extend_from_slice(data));
                whole.freeze()
            }
        }
    }
}

impl<B: Tunnel> Tunnel for Checked<B> {
    fn start_tunnel(&mut self) {
        self.ended = false;
        self.rest.start_tunnel();
    }
}

impl<B> Body for Checked<B>
where
    B: Body<Data = Bytes, Error = BodyError> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(frame) = this.read.pop_front() {
            this.waiting -= frame.data_ref().map_or(0, |data| data.len() as u64);
            return Poll::Ready(Some(Ok(frame)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        Pin::new(&mut this.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && (self.ended || self.rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.ended {
            let mut hint = SizeHint::new();
            hint.set_lower(self.waiting);
            // With trailers behind it a body must not pass for one whose length says when it ends.
            if self.read.iter().all(Frame::is_data) {
                hint.set_upper(self.waiting);
            }
            return hint;
        }
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(self.waiting));
        }
        hint.set_lower(rest.lower().saturating_add(self.waiting));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_of_a_body_is_its_frames_in_order() {
        for (frames, whole) in [
            (&[][..], ""),
            (&["a"][..], "a"),
            (&["ab", "", "c"][..], "abc"),
        ] {
            let mut body = Checked::untouched(());
            for frame in frames {
                body.push(Frame::data(Bytes::from_static(frame.as_bytes())));
            }
            assert_eq!(body.whole(), whole);
        }
    }
}
