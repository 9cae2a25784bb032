//! The chunked transfer coding (RFC 9112, section 7.1), strictly.
//!
//! CRLF only, hexadecimal digits only, no white space around the size. Chunk extensions are read over and not passed on,
//! as the standard asks of a recipient that does not know them.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::field;

/// Longest line with a chunk's size, extensions included. Real ones have a handful of bytes.
const MAX_SIZE_LINE: usize = 1024;
/// Most bytes of trailers.
const MAX_TRAILERS: usize = 16 * 1024;
/// Most trailer fields.
const MAX_TRAILER_FIELDS: usize = 64;

/// Reads chunks out of a buffer.
#[derive(Debug, Default)]
pub struct Chunks(State);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// One step of decoding.
#[derive(Debug)]
pub enum Decoded {
    /// The buffer ends before the next step does.
    NeedMore,
    /// A piece of the body.
    Data(Bytes),
    /// The trailer section, which may be empty, and with it the end.
    End(HeaderMap),
}

impl Chunks {
    /// Whether the last chunk and the trailers have been read.
    pub fn is_done(&self) -> bool {
        self.0 == State::Done
    }

    /// Takes the next piece out of `buffer`.
    ///
    /// # Errors
    /// What is malformed about the coding.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, &'static str> {
        loop {
            match self.0 {
                State::Size => match size_line(buffer)? {
                    None => return Ok(Decoded::NeedMore),
                    Some(0) => self.0 = State::Trailers,
                    Some(size) => self.0 = State::Data(size),
                },
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Decoded::NeedMore);
                    }
                    let take = usize::try_from(left)
                        .unwrap_or(usize::MAX)
                        .min(buffer.len());
                    let data = buffer.split_to(take).freeze();
                    let left = left - take as u64;
                    self.0 = if left == 0 {
                        State::DataEnd
                    } else {
                        State::Data(left)
                    };
                    return Ok(Decoded::Data(data));
                }
                State::DataEnd => {
                    let end = buffer.get(..buffer.len().min(2)).unwrap_or_default();
                    if !b"\r\n".starts_with(end) {
                        return Err("a chunk does not end where its size says");
                    }
                    if end.len() < 2 {
                        return Ok(Decoded::NeedMore);
                    }
                    buffer.advance(2);
                    self.0 = State::Size;
                }
                State::Trailers => return self.trailers(buffer),
                State::Done => return Ok(Decoded::End(HeaderMap::new())),
            }
        }
    }

    fn trailers(&mut self, buffer: &mut BytesMut) -> Result<Decoded, &'static str> {
        if buffer.starts_with(b"\r\n") {
            buffer.advance(2);
            self.0 = State::Done;
            return Ok(Decoded::End(HeaderMap::new()));
        }
        let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n").map(|at| at + 4) else {
            field::only_crlf(buffer.strip_suffix(b"\r").unwrap_or(buffer))?;
            return if buffer.len() > MAX_TRAILERS {
                Err("the trailers are too long")
            } else {
                Ok(Decoded::NeedMore)
            };
        };
        if end > MAX_TRAILERS {
            return Err("the trailers are too long");
        }
        let lines = buffer.split_to(end).freeze();
        field::only_crlf(&lines)?;
        let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
        let Ok(httparse::Status::Complete((_, fields))) =
            httparse::parse_headers(&lines, &mut fields)
        else {
            return Err("malformed trailers");
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for line in fields {
            let (name, value) = field::parse(line.name, &lines.slice_ref(line.value))
                .ok_or("malformed trailers")?;
            if field::may_be_trailer(&name) {
                trailers.append(name, value);
            }
        }
        self.0 = State::Done;
        Ok(Decoded::End(trailers))
    }
}

/// Reads `HEX[;extension]CRLF`.
fn size_line(buffer: &mut BytesMut) -> Result<Option<u64>, &'static str> {
    let Some(at) = memchr::memchr(b'\n', buffer) else {
        if buffer.len() > MAX_SIZE_LINE {
            return Err("a chunk size line is too long");
        }
        // A bad digit is reported before the line is complete, or a client could hold a worker's patience with it.
        return match buffer.first() {
            Some(byte) if !byte.is_ascii_hexdigit() => Err("a chunk size is not hexadecimal"),
            _ => Ok(None),
        };
    };
    if at > MAX_SIZE_LINE {
        return Err("a chunk size line is too long");
    }
    let line = buffer[..at]
        .strip_suffix(b"\r")
        .ok_or("a chunk size line ends in a bare LF")?;
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err("a chunk size is not hexadecimal");
    }
    if line[digits.len()..]
        .iter()
        .any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f)
    {
        return Err("a chunk extension holds a control character");
    }
    let size = digits
        .iter()
        .fold(0_u64, |sum, digit| sum << 4 | u64::from(hex(*digit)));
    buffer.advance(at + 1);
    Ok(Some(size))
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// Appends the size line of a chunk.
pub fn write_size(out: &mut Vec<u8>, size: usize) {
    let mut digits = [0_u8; 16];
    let mut at = digits.len();
    let mut rest = size;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and the trailers.
pub fn write_end(out: &mut Vec<u8>, trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if field::may_be_trailer(name) {
            field::write(out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body, its trailers, and how many bytes stood behind it.
    type Whole = (Vec<u8>, HeaderMap, usize);

    /// Feeds `input` in pieces of `step` bytes.
    fn decode(input: &[u8], step: usize) -> Result<Option<Whole>, &'static str> {
        let mut chunks = Chunks::default();
        let mut buffer = BytesMut::new();
        let mut body = Vec::new();
        let mut fed = 0;
        loop {
            match chunks.decode(&mut buffer)? {
                Decoded::Data(data) => body.extend_from_slice(&data),
                Decoded::End(trailers) => {
                    return Ok(Some((body, trailers, input.len() - fed + buffer.len())));
                }
                Decoded::NeedMore if fed == input.len() => return Ok(None),
                Decoded::NeedMore => {
                    let next = (fed + step).min(input.len());
                    buffer.extend_from_slice(&input[fed..next]);
                    fed = next;
                }
            }
        }
    }

    #[test]
    fn reads_chunks_extensions_and_trailers_in_any_pieces() {
        let input =
            b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nx-sum: 1\r\nContent-Length: 9\r\n\r\nGET";
        for step in 1..input.len() {
            let (body, trailers, left) =
                decode(input, step).expect("well formed").expect("complete");
            assert_eq!(body, b"hello world");
            assert_eq!(
                trailers.len(),
                1,
                "a framing field in the trailers must vanish"
            );
            assert_eq!(left, 3, "the next request stays in the buffer");
        }
    }

    #[test]
    fn refuses_what_two_parsers_could_read_differently() {
        for bad in [
            &b"0x5\r\nhello\r\n0\r\n\r\n"[..],
            b"+5\r\nhello",
            b"5_0\r\nhello",
            b" 5\r\nhello",
            b"5 \r\nhello",
            b"-1\r\nhello",
            b"10000000000000000\r\n",
            b"00000000000000005\r\nhello",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhelloX\r\n",
            b"5\r\nhello\r\n0\n\r\n",
            b"5\r\nhello\r\n0\r\n\n",
            b"5\r\nhello\r\n0\r\nx: 1\n\r\n",
            b"\r\n",
            b";a\r\n",
            b"5;\x00\r\nhello",
            b"5;a\rb\r\nhello",
            b"5\r\nhello\r\n0\r\n x: 1\r\n\r\n",
            b"G\r\n",
        ] {
            assert!(
                decode(bad, 1).is_err(),
                "{:?}",
                String::from_utf8_lossy(bad)
            );
            assert!(
                decode(bad, bad.len()).is_err(),
                "{:?}",
                String::from_utf8_lossy(bad)
            );
        }
    }

    #[test]
    fn an_unfinished_body_stays_unfinished() {
        for part in [
            &b"5\r\nhel"[..],
            b"5\r\nhello\r\n",
            b"5\r\nhello\r\n0\r\n",
            b"5\r\nhello\r\n0\r\n\r",
            b"5\r\nhello\r\n0\r\nx: 1\r\n",
        ] {
            assert_eq!(
                decode(part, 1),
                Ok(None),
                "{:?}",
                String::from_utf8_lossy(part)
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8), step in 1_usize..64) {
            let mut wire = Vec::new();
            for piece in &pieces {
                write_size(&mut wire, piece.len());
                wire.extend_from_slice(piece);
                wire.extend_from_slice(b"\r\n");
            }
            write_end(&mut wire, None);
            let (body, _, left) = decode(&wire, step).expect("well formed").expect("complete");
            prop_assert_eq!(body, pieces.concat());
            prop_assert_eq!(left, 0);
        }

        #[test]
        fn garbage_never_panics(input in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..20) {
            let whole = decode(&input, input.len().max(1)).map(|done| done.map(|(body, ..)| body));
            let pieces = decode(&input, step).map(|done| done.map(|(body, ..)| body));
            prop_assert_eq!(whole.is_ok(), pieces.is_ok());
        }
    }
}
