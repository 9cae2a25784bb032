//! A body on the wire, whichever way it is delimited.

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::chunked::{Chunks, Decoded};
use super::framing::Delimiter;
use crate::error::BodyError;

/// Takes the body out of the bytes of a connection.
#[derive(Debug)]
pub enum Decoder {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks are still to come.
    Chunked(Chunks),
    /// Everything until the connection ends: an old response, or a connection that switched protocols.
    UntilClose,
    /// Nothing is to come.
    Done,
}

/// One step of decoding.
#[derive(Debug)]
pub enum Step {
    /// The buffer holds nothing usable.
    NeedMore,
    /// A piece of the body, or its trailers.
    Frame(Frame<Bytes>),
    /// The end.
    End,
}

impl Decoder {
    /// A decoder for a request: no framing field means no body.
    pub fn for_request(delimiter: Delimiter) -> Self {
        match delimiter {
            Delimiter::None | Delimiter::Length(0) => Self::Done,
            Delimiter::Length(length) => Self::Length(length),
            Delimiter::Chunked => Self::Chunked(Chunks::default()),
        }
    }

    /// A decoder for a response: no framing field means everything until the connection ends.
    pub fn for_response(delimiter: Delimiter) -> Self {
        match delimiter {
            Delimiter::None => Self::UntilClose,
            other => Self::for_request(other),
        }
    }

    /// Whether nothing is to come.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Done | Self::Length(0) => true,
            Self::Chunked(chunks) => chunks.is_done(),
            Self::Length(_) | Self::UntilClose => false,
        }
    }

    /// What is still to come, as far as it is known.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Done => SizeHint::with_exact(0),
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(_) | Self::UntilClose => SizeHint::new(),
        }
    }

    /// Takes the next piece out of `buffer`; `ended` says that nothing will be added to it.
    ///
    /// # Errors
    /// When the framing is malformed, or the connection ended before the body did.
    pub fn step(&mut self, buffer: &mut BytesMut, ended: bool) -> Result<Step, BodyError> {
        let step = match self {
            Self::Done | Self::Length(0) => Step::End,
            Self::Length(left) if !buffer.is_empty() => {
                let take = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                *left -= take as u64;
                Step::Frame(Frame::data(buffer.split_to(take).freeze()))
            }
            Self::UntilClose if !buffer.is_empty() => {
                Step::Frame(Frame::data(buffer.split().freeze()))
            }
            Self::UntilClose if ended => {
                *self = Self::Done;
                Step::End
            }
            Self::Length(_) | Self::UntilClose => Step::NeedMore,
            Self::Chunked(chunks) => match chunks.decode(buffer).map_err(BodyError::Malformed)? {
                Decoded::NeedMore => Step::NeedMore,
                Decoded::Data(data) => Step::Frame(Frame::data(data)),
                Decoded::End(trailers) => {
                    *self = Self::Done;
                    if trailers.is_empty() {
                        Step::End
                    } else {
                        Step::Frame(Frame::trailers(trailers))
                    }
                }
            },
        };
        if ended && matches!(step, Step::NeedMore) {
            return Err(BodyError::Truncated);
        }
        Ok(step)
    }
}
