//! The request id: the caller's when it is harmless, a new UUIDv7 otherwise.
//!
//! An accepted id goes into logs, headers to the app and error bodies, so only characters that need no escaping in any of
//! them pass, and at most 128 of them. Ids up to 38 bytes (a UUID has 36) live inside the value: the usual request
//! allocates nothing. Randomness and time are handed in; nothing here knows where they come from.

use std::fmt;

use crate::digits::hex;

/// The longest id that is accepted from outside.
pub const MAX_LEN: usize = 128;

const INLINE: usize = 38;

/// The id of one request.
#[derive(Clone)]
pub struct RequestId(Text);

#[derive(Clone)]
enum Text {
    Inline { len: u8, bytes: [u8; INLINE] },
    Long(Box<str>),
}

impl RequestId {
    /// Takes the value of an `X-Request-ID` field, if it is 1 to 128 characters out of `[A-Za-z0-9._~:/+=@-]`.
    pub fn accept(inbound: &[u8]) -> Option<Self> {
        if inbound.is_empty() || inbound.len() > MAX_LEN || !inbound.iter().all(|&b| harmless(b)) {
            return None;
        }
        if inbound.len() <= INLINE {
            let mut bytes = [0; INLINE];
            bytes[..inbound.len()].copy_from_slice(inbound);
            let len = u8::try_from(inbound.len()).ok()?;
            return Some(Self(Text::Inline { len, bytes }));
        }
        let text = std::str::from_utf8(inbound).ok()?;
        Some(Self(Text::Long(text.into())))
    }

    /// Makes a UUIDv7 out of ten random bytes and the milliseconds since 1970.
    pub fn new(random: [u8; 10], unix_ms: u64) -> Self {
        let id = uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid();
        let id = id.as_bytes();
        let mut bytes = *b"00000000-0000-0000-0000-000000000000\0\0";
        for (group, at) in [(0..4, 0), (4..6, 9), (6..8, 14), (8..10, 19), (10..16, 24)] {
            hex(&id[group], &mut bytes[at..36]);
        }
        Self(Text::Inline { len: 36, bytes })
    }

    /// The id as text; always ASCII.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).expect("only ASCII is ever stored")
            }
            Text::Long(text) => text,
        }
    }

    /// The id as bytes, for whoever writes it into a header.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Text::Long(text) => text.as_bytes(),
        }
    }
}

/// Safe unescaped in JSON, in headers, in a URL's path and on a shell's line.
fn harmless(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut at = 0;
        while at < 256 {
            #[expect(clippy::cast_possible_truncation, reason = "at is below 256")]
            let byte = at as u8;
            table[at] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'.' | b'_' | b'~' | b':' | b'/' | b'+' | b'=' | b'@' | b'-'
                );
            at += 1;
        }
        table
    };
    TABLE[usize::from(byte)]
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&self.as_str()).finish()
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for RequestId {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stays_small() {
        assert_eq!(size_of::<RequestId>(), 40);
    }

    #[test]
    fn refuses_what_would_need_escaping() {
        for bad in [
            "",
            " ",
            "a b",
            "a\r\nx: y",
            "a\"b",
            "a\\b",
            "a<b",
            "caf\u{e9}",
            "a,b",
            "a;b",
        ] {
            assert_eq!(RequestId::accept(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(RequestId::accept(&[b'a'; 128]).is_some());
        assert_eq!(RequestId::accept(&[b'a'; 129]), None);
    }

    proptest! {
        #[test]
        fn accepts_exactly_the_documented_set(bytes in proptest::collection::vec(any::<u8>(), 0..140)) {
            let fine = (1..=128).contains(&bytes.len())
                && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._~:/+=@-".contains(b));
            prop_assert_eq!(RequestId::accept(&bytes).is_some(), fine);
        }

        #[test]
        fn keeps_what_it_accepts(text in "[A-Za-z0-9._~:/+=@-]{1,128}") {
            let id = RequestId::accept(text.as_bytes()).unwrap();
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(id.as_bytes(), text.as_bytes());
            prop_assert_eq!(id.to_string(), text);
        }

        #[test]
        fn new_ids_are_uuids_that_sort_by_time(random: [u8; 10], later: [u8; 10], ms in 0u64..(1 << 47)) {
            let id = RequestId::new(random, ms);
            let parsed = uuid::Uuid::parse_str(id.as_str()).unwrap();
            prop_assert_eq!(parsed.get_version_num(), 7);
            prop_assert_eq!(parsed.hyphenated().to_string(), id.to_string());
            prop_assert!(RequestId::new(later, ms + 1).as_str() > id.as_str());
            prop_assert_eq!(RequestId::accept(id.as_bytes()), Some(id));
        }
    }
}
