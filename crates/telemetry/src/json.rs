//! Text inside JSON strings and on terminals, whatever the bytes are.
//!
//! Paths and user agents are written by strangers. Whatever they send, a line stays one line, stays JSON and stays UTF-8, and
//! does nothing to the terminal of whoever reads it: control characters are escaped, those of C1 too, and bytes that are not
//! UTF-8 become U+FFFD. Clean text, which is nearly all, is found with one pass that the compiler vectorises, then copied.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `bytes` as the inside of a JSON string, without the quotes.
pub(crate) fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    let dirty = bytes.iter().fold(false, |dirty, &byte| {
        dirty | (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte >= 0x7f)
    });
    if dirty {
        push_dirty(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
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
