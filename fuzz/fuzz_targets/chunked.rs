//! Any bytes, in any pieces, are a chunked body, not yet one, or malformed; and the pieces make no difference. A body that
//! was read and is written again is read the same.

#![no_main]

use bytes::BytesMut;
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use seaworthy_http::h1::chunked::{Chunks, Decoded, write_end, write_size};

#[derive(Debug, PartialEq)]
struct Read {
    body: Vec<u8>,
    /// The trailers and the bytes behind the body, once it is complete.
    end: Option<(HeaderMap, usize)>,
}

fn feed(bytes: &[u8], step: usize) -> Result<Read, &'static str> {
    let mut chunks = Chunks::default();
    let mut buffer = BytesMut::new();
    let mut body = Vec::new();
    let mut fed = 0;
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        loop {
            match chunks.decode(&mut buffer)? {
                Decoded::NeedMore => break,
                Decoded::Data(data) => {
                    assert!(!data.is_empty());
                    body.extend_from_slice(&data);
                }
                Decoded::End(trailers) => {
                    assert!(chunks.is_done());
                    let left = bytes.len() - fed + buffer.len();
                    return Ok(Read {
                        body,
                        end: Some((trailers, left)),
                    });
                }
            }
        }
    }
    Ok(Read { body, end: None })
}

fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let whole = feed(bytes, bytes.len().max(1));
    let pieces = feed(bytes, usize::from(*step).max(1));
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(_), Err(_)) => {}
        different => panic!("{different:?}"),
    }
    let Ok(Read {
        body,
        end: Some((trailers, _)),
    }) = whole
    else {
        return;
    };
    let mut wire = Vec::new();
    for piece in body.chunks(usize::from(*step).max(1)) {
        write_size(&mut wire, piece.len());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    write_end(&mut wire, Some(&trailers));
    assert_eq!(
        feed(&wire, 7),
        Ok(Read {
            body,
            end: Some((trailers, 0))
        })
    );
});
