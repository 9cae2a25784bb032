//! Where a request ends, as an origin would read it.

/// The length of the first complete request in `bytes`; `None` while it is incomplete.
///
/// Lenient on purpose: it only has to find the end of what a proxy sends, and `Transfer-Encoding` wins.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let head = head(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if text.contains("\r\ntransfer-encoding:") {
        return Some(head + chunked(&bytes[head..])?);
    }
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0);
    (bytes.len() >= head + length).then_some(head + length)
}

/// The length of the head in front of `bytes`, its empty line included.
pub(super) fn head(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

fn chunked(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        at += size + 2;
    }
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn finds_the_end_of_each_framing() {
        let cases: [(&[u8], Option<usize>); 6] = [
            (b"GET / HTTP/1.1\r\n\r\nGET", Some(18)),
            (b"GET / HTTP/1.1\r\n", None),
            (b"P / H\r\nContent-Length: 3\r\n\r\nabcd", Some(31)),
            (b"P / H\r\nContent-Length: 3\r\n\r\nab", None),
            (
                b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nT: u\r\n\r\nX",
                Some(57),
            ),
            (
                b"P / H\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
                None,
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(
                length(bytes),
                expected,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
