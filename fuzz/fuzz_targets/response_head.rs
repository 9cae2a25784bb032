//! Any bytes that an app may send are a head, not yet one, or refused; and neither pieces nor what came before make a difference.

#![no_main]

use bytes::BytesMut;
use http::header;
use libfuzzer_sys::fuzz_target;
use seaworthy_http::h1::framing::Delimiter;
use seaworthy_http::upstream::fuzzing::{Last, ResponseHead, response_head};

type Parsed = Result<Option<ResponseHead>, &'static str>;

fn feed(bytes: &[u8], step: usize, last: &mut Last) -> (Parsed, usize) {
    let mut buffer = BytesMut::new();
    let mut fed = 0;
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        match response_head(&mut buffer, last) {
            Ok(None) => {}
            done => return (done, bytes.len() - fed + buffer.len()),
        }
    }
    (Ok(None), buffer.len())
}

fn check(head: &ResponseHead) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        assert!(!head.headers.contains_key(&name), "{name} went through");
    }
    let lengths: Vec<_> = head
        .headers
        .get_all(header::CONTENT_LENGTH)
        .iter()
        .collect();
    match (head.delimiter, lengths.as_slice()) {
        (Delimiter::Length(length), [value]) => {
            assert_eq!(value.to_str().expect("digits").parse(), Ok(length));
        }
        (Delimiter::None | Delimiter::Chunked, []) => {}
        other => panic!("framing {other:?}"),
    }
    for (name, value) in &head.headers {
        let plain = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        assert!(value.as_bytes().iter().all(plain), "{name}: {value:?}");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let (whole, left) = feed(bytes, bytes.len().max(1), &mut Last::default());
    let (pieces, left_of_pieces) = feed(bytes, usize::from(*step).max(1), &mut Last::default());
    if let Ok(Some(head)) = &whole {
        check(head);
        assert_eq!(left, left_of_pieces);
    }
    match (&whole, &pieces) {
        (Err(_), Err(_)) => {}
        (whole, pieces) => assert_eq!(whole, pieces),
    }
    let mut last = Last::default();
    for _ in 0..3 {
        let again = feed(bytes, bytes.len().max(1), &mut last);
        assert_eq!((&whole, left), (&again.0, again.1));
    }
    let mut changed = bytes.to_vec();
    if let Some(byte) = changed.get_mut(usize::from(*step)) {
        *byte ^= 1 + step % 3;
    }
    let step = changed.len().max(1);
    let fresh = feed(&changed, step, &mut Last::default());
    assert_eq!(fresh, feed(&changed, step, &mut last));
});
