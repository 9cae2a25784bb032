//! Reads what the edge wrote as the strictest client would.

use std::rc::Rc;

use http::{Method, Version};

use crate::service::Call;

struct Head<'a> {
    status: u16,
    fields: Vec<(String, &'a [u8])>,
}

impl Head<'_> {
    fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.fields.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| *value).collect()
    }

    fn closes(&self) -> bool {
        self.values("connection") == [b"close"]
    }
}

/// Demands one answer for each call and at most one refusal after them. What is missing must have been missed by a reset.
pub fn check(mut out: &[u8], calls: &[Rc<Call>], reset: bool) {
    for (nth, call) in calls.iter().enumerate() {
        let last = nth + 1 == calls.len();
        let Some(head) = final_head(&mut out, Some(call)) else {
            assert!(reset && last, "an answer is missing");
            return;
        };
        let Some(goes_on) = body(&head, call, &mut out, reset) else {
            assert!(reset && last, "an answer was cut without a reset");
            return;
        };
        if !goes_on {
            assert!(last && out.is_empty(), "something after the last answer");
            return;
        }
    }
    if out.is_empty() {
        return;
    }
    let head = final_head(&mut out, None).expect("a refusal");
    assert!(
        head.closes() && head.status >= 400,
        "no refusal: {}",
        head.status
    );
    let length = length(&head).expect("a refusal has a length");
    assert_eq!(out.len(), length, "something after the refusal");
}

fn final_head<'a>(out: &mut &'a [u8], call: Option<&Call>) -> Option<Head<'a>> {
    let mut continues = 0;
    loop {
        let head = head(out)?;
        if head.status >= 200 || head.status == 101 {
            return Some(head);
        }
        let call = call.expect("a refusal needs no prelude");
        assert_eq!(call.version, Version::HTTP_11, "1xx for an HTTP/1.0 client");
        assert!(head.values("content-length").is_empty());
        continues += usize::from(head.status == 100);
        assert!(continues <= 1, "100 was said twice");
    }
}

fn head<'a>(out: &mut &'a [u8]) -> Option<Head<'a>> {
    let end = out.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (text, rest) = out.split_at(end);
    *out = &rest[4..];
    let mut lines = split(text);
    let start = lines.remove(0);
    assert!(
        start.starts_with(b"HTTP/1.1 ") && start[12] == b' ',
        "{start:?}"
    );
    let status = std::str::from_utf8(&start[9..12])
        .ok()?
        .parse()
        .expect("a status");
    let fields = lines.into_iter().map(|line| {
        let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
        let name = String::from_utf8(line[..colon].to_vec()).expect("a name");
        let token = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        };
        assert!(!name.is_empty() && name.bytes().all(token), "{name:?}");
        (name, &line[colon + 2..])
    });
    let fields = fields.collect();
    Some(Head { status, fields })
}

/// Lines between CRLFs; nothing else may be a line end.
fn split(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    for line in &lines {
        assert!(
            !line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "{line:?}"
        );
    }
    lines
}

fn length(head: &Head<'_>) -> Option<usize> {
    match head.values("content-length").as_slice() {
        [] => None,
        [value] => Some(
            std::str::from_utf8(value)
                .expect("digits")
                .parse()
                .expect("digits"),
        ),
        more => panic!("{} lengths", more.len()),
    }
}

/// Reads the body and says whether another answer may follow; `None` when it is cut.
fn body(head: &Head<'_>, call: &Call, out: &mut &[u8], reset: bool) -> Option<bool> {
    let yielded = call.yielded.borrow();
    let chunked = !head.values("transfer-encoding").is_empty();
    let length = length(head);
    assert!(!(chunked && length.is_some()), "length beside chunks");
    if head.status == 101 || head.status == 204 {
        assert!(!chunked && length.is_none(), "framing in a {}", head.status);
    }
    if head.status == 101 {
        assert!(yielded.starts_with(out) && (reset || yielded.len() == out.len()));
        *out = &[];
        return Some(false);
    }
    if call.method == Method::HEAD || matches!(head.status, 204 | 304) {
        return Some(!head.closes());
    }
    let body = if chunked {
        assert_eq!(
            call.version,
            Version::HTTP_11,
            "chunks for an HTTP/1.0 client"
        );
        unchunk(out)?
    } else if let Some(length) = length {
        let body = out.get(..length)?.to_vec();
        *out = &out[length..];
        body
    } else {
        assert!(head.closes() && call.version == Version::HTTP_10);
        if reset {
            return None;
        }
        std::mem::take(out).to_vec()
    };
    assert_eq!(body, *yielded, "the body is another");
    Some(!head.closes())
}

fn unchunk(out: &mut &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = out.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(&out[..end]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("digits");
        let rest = &out[end + 2..];
        if size == 0 {
            *out = rest;
            return trailers(out).map(|()| body);
        }
        body.extend_from_slice(rest.get(..size)?);
        assert!(rest.get(size..size + 2).is_none_or(|end| end == b"\r\n"));
        *out = rest.get(size + 2..)?;
    }
}

fn trailers(out: &mut &[u8]) -> Option<()> {
    loop {
        let end = out.windows(2).position(|bytes| bytes == b"\r\n")?;
        let line = &out[..end];
        *out = &out[end + 2..];
        if line.is_empty() {
            return Some(());
        }
        assert!(
            !line.starts_with(b"content-length:"),
            "framing in the trailers"
        );
    }
}
