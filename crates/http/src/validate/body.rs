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
    /// Boxed: most bodies are not looked at, and pass through here all the same.
    read: Option<Box<Read>>,
    rest: B,
}

/// What was read ahead.
#[derive(Debug, Default)]
struct Read {
    frames: VecDeque<Frame<Bytes>>,
    /// How many bytes of data wait in `frames`.
    waiting: u64,
    ended: bool,
}

impl<B> Checked<B> {
    /// A body that nobody has looked at.
    pub(super) fn untouched(rest: B) -> Self {
        Self { read: None, rest }
    }

    pub(super) fn push(&mut self, frame: Frame<Bytes>) {
        let read = self.read.get_or_insert_default();
        read.waiting += frame.data_ref().map_or(0, |data| data.len() as u64);
        read.frames.push_back(frame);
    }

    pub(super) fn end(&mut self) {
        self.read.get_or_insert_default().ended = true;
    }

    pub(super) fn rest(&mut self) -> &mut B {
        &mut self.rest
    }

    pub(super) fn waiting(&self) -> u64 {
        self.read.as_ref().map_or(0, |read| read.waiting)
    }

    /// All data that was read, in one piece. Frames are reference-counted, so a body of one frame is not copied.
    pub(super) fn whole(&self) -> Bytes {
        let frames = || self.read.iter().flat_map(|read| &read.frames);
        let all = || frames().filter_map(Frame::data_ref);
        let mut data = all();
        match (data.next(), data.next()) {
            (None, _) => Bytes::new(),
            (Some(only), None) => only.clone(),
            _ => {
                let mut whole = BytesMut::with_capacity(all().map(Bytes::len).sum());
                all().for_each(|data| whole.extend_from_slice(data));
                whole.freeze()
            }
        }
    }
}

impl<B: Tunnel> Tunnel for Checked<B> {
    fn start_tunnel(&mut self) {
        if let Some(read) = &mut self.read {
            read.ended = false;
        }
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
        if let Some(read) = &mut this.read {
            if let Some(frame) = read.frames.pop_front() {
                read.waiting -= frame.data_ref().map_or(0, |data| data.len() as u64);
                return Poll::Ready(Some(Ok(frame)));
            }
            if read.ended {
                return Poll::Ready(None);
            }
        }
        Pin::new(&mut this.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.read {
            Some(read) => read.frames.is_empty() && (read.ended || self.rest.is_end_stream()),
            None => self.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        let Some(read) = &self.read else {
            return rest;
        };
        let mut hint = SizeHint::new();
        if read.ended {
            hint.set_lower(read.waiting);
            // With trailers behind it a body must not pass for one whose length says when it ends.
            if read.frames.iter().all(Frame::is_data) {
                hint.set_upper(read.waiting);
            }
            return hint;
        }
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read.waiting));
        }
        hint.set_lower(rest.lower().saturating_add(read.waiting));
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
