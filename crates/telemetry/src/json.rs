//! Text inside JSON strings and on terminals, whatever the bytes are.
//!
//! Paths and user agents are written by strangers. Whatever they send, a line stays one line, stays JSON and stays UTF-8, and
//! does nothing to the terminal of whoever reads it: control characters are escaped, those of C1 too, and bytes that are not
//! UTF-8 become U+FFFD. Clean text, which is nearly all, is found eight bytes at a time and copied.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `bytes` as the inside of a JSON string, without the quotes.
pub(crate) fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_clean(bytes) {
        out.extend_from_slice(bytes);
    } else {
        push_dirty(out, bytes);
    }
}

/// Whether every byte is printable ASCII other than a quote or a backslash.
fn is_clean(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut dirty = 0;
    for word in words {
        dirty |= dirt(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        // Spaces fill the last word up; where there is a word before, the two overlap instead, which is cheaper.
        let word = match bytes.last_chunk::<8>() {
            Some(last) => *last,
            None => {
                let mut word = [b' '; 8];
                word[..rest.len()].copy_from_slice(rest);
                word
            }
        };
        dirty |= dirt(u64::from_le_bytes(word));
    }
    dirty == 0
}

/// Looks at eight bytes at once; not zero if one of them needs escaping.
fn dirt(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let equals = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    // Adding one turns 0x7f into 0x80; a carry out of 0xff only hits a word that is dirty already.
    (word | word.wrapping_add(ONES) | below(word, 0x20) | equals(b'"') | equals(b'\\')) & HIGH
}

/// Appends at most `limit` bytes of the text and an ellipsis if that cut it.
pub(crate) fn push_bounded(out: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    match bytes.split_at_checked(limit) {
        Some((kept, rest)) if !rest.is_empty() => {
            push(out, kept);
            out.extend_from_slice("…".as_bytes());
        }
        _ => push(out, bytes),
    }
}

/// Appends at most `limit` bytes of the text for a person's eyes: control characters are escaped, quotes are not.
pub(crate) fn push_printable(out: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let kept = bytes.get(..limit).unwrap_or(bytes);
    escape(out, kept, false);
    if kept.len() < bytes.len() {
        out.extend_from_slice("…".as_bytes());
    }
}

#[cold]
fn push_dirty(out: &mut Vec<u8>, bytes: &[u8]) {
    escape(out, bytes, true);
}

fn escape(out: &mut Vec<u8>, bytes: &[u8], quotes: bool) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_char(out, character, quotes);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn push_char(out: &mut Vec<u8>, character: char, quotes: bool) {
    match character {
        '"' if quotes => out.extend_from_slice(br#"\""#),
        '\\' if quotes => out.extend_from_slice(br"\\"),
        '\n' => out.extend_from_slice(br"\n"),
        '\r' => out.extend_from_slice(br"\r"),
        '\t' => out.extend_from_slice(br"\t"),
        // Every control character is below U+00A0, so two digits are enough.
        control if control.is_control() => {
            let code = control as usize;
            out.extend_from_slice(br"\u00");
            out.extend_from_slice(&[HEX[(code >> 4) & 15], HEX[code & 15]]);
        }
        // Line and paragraph separators end a line for JavaScript and for some log shippers.
        '\u{2028}' => out.extend_from_slice(br"\u2028"),
        '\u{2029}' => out.extend_from_slice(br"\u2029"),
        plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(bytes: &[u8]) -> Vec<u8> {
        let mut out = b"\"".to_vec();
        push(&mut out, bytes);
        out.push(b'"');
        out
    }

    #[test]
    fn escapes_what_could_break_a_line_or_a_terminal() {
        assert_eq!(
            escaped("a\"b\\c\n\x1b[31m\u{9b}\u{7f}é\u{2028}".as_bytes()),
            r#""a\"b\\c\n\u001b[31m\u009b\u007fé\u2028""#.as_bytes()
        );
        assert_eq!(escaped(b"a\xffb\xc3"), "\"a\u{fffd}b\u{fffd}\"".as_bytes());
    }

    #[test]
    fn dirt_is_found_at_every_place_of_every_length() {
        for byte in 0..=255u8 {
            let clean = (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
            for len in 1..20 {
                for at in 0..len {
                    for filler in [b' ', b'!', b'#', b'[', b']', b'~'] {
                        let mut bytes = vec![filler; len];
                        bytes[at] = byte;
                        assert_eq!(is_clean(&bytes), clean, "{byte:#x} at {at} of {len}");
                    }
                }
            }
        }
        assert!(is_clean(b""));
    }

    #[test]
    fn people_see_quotes_but_no_control_characters() {
        let mut out = Vec::new();
        push_printable(&mut out, b"say \"a\\b\"\x1b[2J\n", 100);
        push_printable(&mut out, b"abcdef", 3);
        assert_eq!(out, "say \"a\\b\"\\u001b[2J\\nabc…".as_bytes());
    }

    #[test]
    fn marks_a_cut() {
        let mut out = Vec::new();
        push_bounded(&mut out, b"abcdef", 3);
        push_bounded(&mut out, b"abc", 3);
        assert_eq!(out, "abc…abc".as_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_json_string_that_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8(escaped(&bytes)).unwrap();
            prop_assert!(!text.chars().any(char::is_control));
            let read: String = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let read: String = serde_json::from_slice(&escaped(text.as_bytes())).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
