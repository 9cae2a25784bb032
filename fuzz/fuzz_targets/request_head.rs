//! Any bytes, in any pieces, are a head, not yet one, or a refusal; and neither pieces nor what came before make a difference.

#![no_main]

use bytes::BytesMut;
use http::header;
use libfuzzer_sys::fuzz_target;
use seaworthy_http::edge::{Head, Heads, Limits, Reject};
use seaworthy_http::h1::framing::Delimiter;

/// Small, so that short inputs reach them.
const LIMITS: Limits = Limits {
    head: 512,
    target: 128,
    fields: 12,
};

type Parsed = Result<Option<Head>, Reject>;

/// Feeds `bytes` in pieces of `step`; also returns how many bytes were left of what was fed, and how many never were.
fn feed(bytes: &[u8], step: usize, heads: &mut Heads) -> (Parsed, usize) {
    let mut buffer = BytesMut::new();
    let mut fed = 0;
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        match heads.next(&mut buffer) {
            Ok(None) => {}
            done => return (done, bytes.len() - fed + buffer.len()),
        }
    }
    (Ok(None), buffer.len())
}

fn check(head: &Head) {
    let headers = head.request.headers();
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::TE,
        header::EXPECT,
    ] {
        assert!(!headers.contains_key(&name), "{name} went through");
    }
    assert!(headers.get_all(header::HOST).iter().count() <= 1);
    let lengths: Vec<_> = headers.get_all(header::CONTENT_LENGTH).iter().collect();
    match (head.delimiter, lengths.as_slice()) {
        (Delimiter::Length(length), [value]) => {
            let value = value.to_str().expect("digits");
            assert!(value.bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(value.parse(), Ok(length));
        }
        (Delimiter::None | Delimiter::Chunked, []) => {}
        other => panic!("framing {other:?}"),
    }
    for (name, value) in headers {
        assert!(!name.as_str().is_empty());
        let plain = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        assert!(value.as_bytes().iter().all(plain), "{name}: {value:?}");
    }
    let target = head.request.uri().to_string();
    assert!(
        target
            .bytes()
            .all(|byte| byte > 0x20 && byte != 0x7f && byte != b'#'),
        "{target:?}"
    );
    assert!(!head.upgrade || headers.contains_key(header::UPGRADE));
    assert!(!head.expects_continue || head.delimiter != Delimiter::None);
}

fn same(one: &Head, other: &Head) -> bool {
    one.request.method() == other.request.method()
        && one.request.uri() == other.request.uri()
        && one.request.version() == other.request.version()
        && one.request.headers() == other.request.headers()
        && one.delimiter == other.delimiter
        && one.connection == other.connection
        && (one.upgrade, one.expects_continue) == (other.upgrade, other.expects_continue)
}

/// Reads `bytes` three times over, and then what they become with one of them changed, as if each were the first.
fn check_again(bytes: &[u8], step: u8) {
    let mut heads = Heads::new(LIMITS);
    let mut changed = bytes.to_vec();
    if let Some(byte) = changed.get_mut(usize::from(step)) {
        *byte ^= 1 + step % 3;
    }
    let length = bytes.len().max(1);
    for bytes in [bytes, bytes, bytes, &changed[..], &changed[..], &changed[..]] {
        let (again, left) = feed(bytes, length, &mut heads);
        let (fresh, left_of_fresh) = feed(bytes, length, &mut Heads::new(LIMITS));
        assert_eq!(left, left_of_fresh);
        match (fresh, again) {
            (Ok(Some(fresh)), Ok(Some(again))) => assert!(same(&fresh, &again), "{again:?}"),
            (Ok(None), Ok(None)) => {}
            (Err(fresh), Err(again)) => assert_eq!(fresh.reason, again.reason),
            (fresh, again) => panic!("{fresh:?}\n{again:?}"),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let (whole, left) = feed(bytes, bytes.len().max(1), &mut Heads::new(LIMITS));
    let (pieces, left_of_pieces) = feed(bytes, usize::from(*step).max(1), &mut Heads::new(LIMITS));
    if let Ok(Some(head)) = &whole {
        check(head);
    }
    match (whole, pieces) {
        (Ok(Some(whole)), Ok(Some(pieces))) => {
            assert!(same(&whole, &pieces), "{whole:?}\n{pieces:?}");
            assert_eq!(left, left_of_pieces);
        }
        (Ok(None), Ok(None)) | (Err(_), Err(_)) => {}
        // What is refused for its size may be refused before its end is seen.
        (Ok(_), Err(Reject { kind, .. })) => assert!(matches!(kind.status, 414 | 431), "{kind:?}"),
        // Empty lines before a request that come one by one are dropped one by one, and do not count as its size.
        (Err(Reject { kind, .. }), Ok(_)) => {
            assert!(
                matches!(kind.status, 414 | 431) && bytes.starts_with(b"\r\n"),
                "{kind:?}"
            );
        }
        (whole, pieces) => panic!("{whole:?}\n{pieces:?}"),
    }
    check_again(bytes, *step);
});
