//! Where a message ends: `Content-Length` against `Transfer-Encoding` (RFC 9112, section 6).
//!
//! Every smuggling attack lives in a disagreement about this decision, so anything but one plain answer is an error: two
//! lengths, a length beside chunks, a coding that is not exactly `chunked`, digits that are not digits.

use super::field;

/// The framing fields of one head, collected line by line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    length: Option<u64>,
    chunked: bool,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// Neither field was there.
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A head whose framing is not beyond doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFraming {
    /// The length is not one plain decimal number.
    #[error("Content-Length is not a single decimal number")]
    Length,
    /// More than one length, equal or not.
    #[error("Content-Length appears more than once")]
    TwoLengths,
    /// A length and chunks.
    #[error("Content-Length and Transfer-Encoding together")]
    Both,
    /// A coding that is well formed but not spoken here.
    #[error("the only transfer coding understood is chunked")]
    UnsupportedCoding,
    /// Anything else in `Transfer-Encoding`.
    #[error("Transfer-Encoding is not exactly \"chunked\"")]
    Coding,
}

impl Framing {
    /// Takes in a `Content-Length` line.
    ///
    /// # Errors
    /// When it is not plain digits, or the second of its kind, or stands beside a transfer coding.
    pub fn content_length(&mut self, value: &[u8]) -> Result<(), BadFraming> {
        if self.length.is_some() {
            return Err(BadFraming::TwoLengths);
        }
        if self.chunked {
            return Err(BadFraming::Both);
        }
        self.length = Some(parse_length(value).ok_or(BadFraming::Length)?);
        Ok(())
    }

    /// Takes in a `Transfer-Encoding` line.
    ///
    /// # Errors
    /// When it is anything but `chunked`, or the second of its kind, or stands beside a length.
    pub fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), BadFraming> {
        if self.chunked {
            return Err(BadFraming::Coding);
        }
        if self.length.is_some() {
            return Err(BadFraming::Both);
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.chunked = true;
            return Ok(());
        }
        Err(if is_known_coding(value) {
            BadFraming::UnsupportedCoding
        } else {
            BadFraming::Coding
        })
    }

    /// The decision.
    pub fn delimiter(self) -> Delimiter {
        match (self.chunked, self.length) {
            (true, _) => Delimiter::Chunked,
            (false, Some(length)) => Delimiter::Length(length),
            (false, None) => Delimiter::None,
        }
    }
}

/// One or more digits and nothing else, within 63 bits so that no sum of lengths can overflow.
fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// A list of registered codings that ends in `chunked`: a request we understand and do not serve, hence 501 and not 400.
fn is_known_coding(value: &[u8]) -> bool {
    let mut names = value.split(|byte| *byte == b',').map(field::trim).rev();
    let known = |name: &[u8]| {
        [
            &b"gzip"[..],
            b"x-gzip",
            b"deflate",
            b"compress",
            b"x-compress",
        ]
        .iter()
        .any(|coding| name.eq_ignore_ascii_case(coding))
    };
    names
        .next()
        .is_some_and(|last| last.eq_ignore_ascii_case(b"chunked") || known(last))
        && names.all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(value: &str) -> Result<Delimiter, BadFraming> {
        let mut framing = Framing::default();
        framing.content_length(value.as_bytes())?;
        Ok(framing.delimiter())
    }

    fn coding(value: &[u8]) -> Result<Delimiter, BadFraming> {
        let mut framing = Framing::default();
        framing.transfer_encoding(value)?;
        Ok(framing.delimiter())
    }

    #[test]
    fn a_length_is_digits_only() {
        assert_eq!(length("0"), Ok(Delimiter::Length(0)));
        assert_eq!(length("00042"), Ok(Delimiter::Length(42)));
        for bad in [
            "",
            "+1",
            "-1",
            "1 ",
            " 1",
            "1,1",
            "0x1",
            "1_0",
            "1.0",
            "18446744073709551616",
            "9223372036854775808",
        ] {
            assert_eq!(length(bad), Err(BadFraming::Length), "{bad:?}");
        }
    }

    #[test]
    fn chunked_is_the_one_word() {
        assert_eq!(coding(b"chunked"), Ok(Delimiter::Chunked));
        assert_eq!(coding(b"Chunked"), Ok(Delimiter::Chunked));
        for bad in [
            &b""[..],
            b"xchunked",
            b"chunked, chunked",
            b"chunked,",
            b",chunked",
            b"\x0bchunked",
            b"chunked\x0c",
            b"identity",
        ] {
            assert_eq!(coding(bad), Err(BadFraming::Coding), "{bad:?}");
        }
        for other in [&b"gzip, chunked"[..], b"gzip", b"deflate,chunked"] {
            assert_eq!(
                coding(other),
                Err(BadFraming::UnsupportedCoding),
                "{other:?}"
            );
        }
    }

    #[test]
    fn both_fields_are_refused_in_either_order() {
        let mut framing = Framing::default();
        assert_eq!(framing.content_length(b"5"), Ok(()));
        assert_eq!(framing.transfer_encoding(b"chunked"), Err(BadFraming::Both));
        let mut framing = Framing::default();
        assert_eq!(framing.transfer_encoding(b"chunked"), Ok(()));
        assert_eq!(framing.content_length(b"5"), Err(BadFraming::Both));
    }

    #[test]
    fn a_second_line_is_refused_even_when_it_agrees() {
        let mut framing = Framing::default();
        assert_eq!(framing.content_length(b"5"), Ok(()));
        assert_eq!(framing.content_length(b"5"), Err(BadFraming::TwoLengths));
        let mut framing = Framing::default();
        assert_eq!(framing.transfer_encoding(b"chunked"), Ok(()));
        assert_eq!(
            framing.transfer_encoding(b"chunked"),
            Err(BadFraming::Coding)
        );
    }
}
