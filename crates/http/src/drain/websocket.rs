//! Where the frames of a WebSocket end (RFC 6455, section 5.2).
//!
//! A close frame may only stand between two frames. So the bytes that pass towards the client are followed just closely
//! enough to know that place: opcodes, masks and payloads are not looked at.

/// An unmasked close frame with code 1012, "service restart": clients are meant to reconnect.
pub(super) const SERVICE_RESTART: &[u8] = &[0x88, 0x02, 0x03, 0xf4];

/// Follows frame headers through a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct FrameBoundary {
    /// Header bytes of the frame that is beginning.
    header: smallvec::SmallVec<[u8; 14]>,
    /// Payload bytes of the current frame that are still to come.
    payload: u64,
}

impl FrameBoundary {
    /// Whether a new frame could begin here.
    pub(super) fn is_between_frames(&self) -> bool {
        self.payload == 0 && self.header.is_empty()
    }

    /// Takes note of bytes that pass.
    pub(super) fn pass(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.payload > 0 {
                let skip = usize::try_from(self.payload)
                    .unwrap_or(usize::MAX)
                    .min(data.len());
                self.payload -= skip as u64;
                data = &data[skip..];
                continue;
            }
            self.header.push(data[0]);
            data = &data[1..];
            if let Some(payload) = payload_length(&self.header) {
                self.payload = payload;
                self.header.clear();
            }
        }
    }
}

/// The payload length, once the whole header is there; a mask counts as part of the header.
fn payload_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    if header.len() < 2 + extended + mask {
        return None;
    }
    let length = header[2..2 + extended]
        .iter()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    Some(if extended == 0 {
        u64::from(second & 0x7f)
    } else {
        length
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        if let Some(short) = u8::try_from(length).ok().filter(|short| *short < 126) {
            frame.push(mask | short);
        } else if let Ok(medium) = u16::try_from(length) {
            frame.push(mask | 126);
            frame.extend(medium.to_be_bytes());
        } else {
            frame.push(mask | 127);
            frame.extend((length as u64).to_be_bytes());
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.resize(frame.len() + length, 0x55);
        frame
    }

    proptest! {
        #[test]
        fn boundaries_are_exactly_the_ends_of_frames(
            frames in prop::collection::vec((prop_oneof![0_usize..200, 65_000_usize..66_000], any::<bool>()), 1..6),
            step in 1_usize..5000,
        ) {
            let frames: Vec<_> = frames.into_iter().map(|(length, masked)| frame(length, masked)).collect();
            let mut ends = std::collections::HashSet::from([0]);
            let mut all = Vec::new();
            for frame in frames {
                all.extend(frame);
                ends.insert(all.len());
            }
            let mut boundary = FrameBoundary::default();
            let mut at = 0;
            for piece in all.chunks(step) {
                boundary.pass(piece);
                at += piece.len();
                prop_assert_eq!(boundary.is_between_frames(), ends.contains(&at));
            }
        }
    }
}
