//! An answer as it came over the wire.
//!
//! The parser is strict where leniency would hide a fault of the product: bare line feeds, folded lines and spaces
//! before a colon are errors.

use anyhow::{Context as _, bail, ensure};

/// The head of a message: a first line and header lines, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `HTTP/1.1 200 OK` or `GET / HTTP/1.1`.
    pub start: String,
    /// Names as sent and trimmed values.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Parses a head up to and without its empty line.
    ///
    /// # Errors
    /// When a line is not what RFC 9112 allows a sender to write.
    pub fn parse(bytes: &[u8]) -> crate::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter(|line| !line.is_empty()).map(header);
        ensure!(
            !start.contains('\n'),
            "bare line feed in the first line {start:?}"
        );
        Ok(Self {
            start,
            headers: headers.collect::<crate::Result<_>>()?,
        })
    }

    /// The first value of the header `name`, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// All values of the header `name`.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Whether the list header `name` holds `token`.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .iter()
            .flat_map(|value| value.split(','))
            .any(|found| found.trim().eq_ignore_ascii_case(token))
    }

    /// The status of a response.
    ///
    /// # Errors
    /// When the first line is no status line.
    pub fn status(&self) -> crate::Result<u16> {
        let mut words = self.start.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        ensure!(
            version.starts_with("HTTP/1."),
            "no status line: {:?}",
            self.start
        );
        let code = words.next().unwrap_or_default();
        code.parse()
            .with_context(|| format!("no status in {:?}", self.start))
    }

    /// How the body of this response to `method` ends.
    ///
    /// # Errors
    /// When the framing is ambiguous.
    pub fn body(&self, method: &str) -> crate::Result<Body> {
        let status = self.status()?;
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Ok(Body::None);
        }
        let lengths = self.all("content-length");
        if self.has_token("transfer-encoding", "chunked") {
            ensure!(
                lengths.is_empty(),
                "both Content-Length and Transfer-Encoding"
            );
            return Ok(Body::Chunked);
        }
        match lengths.as_slice() {
            [] => Ok(Body::Close),
            [length] => Ok(Body::Length(
                length
                    .parse()
                    .with_context(|| format!("length {length:?}"))?,
            )),
            more => bail!("{} Content-Length lines", more.len()),
        }
    }
}

fn header(line: &str) -> crate::Result<(String, String)> {
    let (name, value) = line
        .split_once(':')
        .with_context(|| format!("no colon in {line:?}"))?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    ensure!(
        !name.is_empty() && name.chars().all(token),
        "bad header name in {line:?}"
    );
    ensure!(
        !value.contains(['\n', '\r', '\0']),
        "bare control byte in {line:?}"
    );
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks, then trailers.
    Chunked,
    /// The end of the connection.
    Close,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status of the final answer.
    pub status: u16,
    /// Its head.
    pub head: Head,
    /// The 1xx heads before it.
    pub informational: Vec<Head>,
    /// Its body, without chunk framing.
    pub body: Vec<u8>,
    /// The sizes of the chunks, when it was chunked.
    pub chunks: Vec<usize>,
    /// The trailers after the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// The first value of the header `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> crate::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.text()))
    }

    /// The `error.type` of an envelope that the product made.
    #[must_use]
    pub fn error_type(&self) -> Option<String> {
        let json = self.json().ok()?;
        Some(json.pointer("/error/type")?.as_str()?.to_owned())
    }

    /// Whether the server wants the connection closed after this answer.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.head.has_token("connection", "close")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> crate::Result<Head> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn keeps_names_order_and_repeats() {
        let head = head(
            "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie:  b \r\nConnection: keep-alive, Close",
        )
        .unwrap();
        assert_eq!(head.status().unwrap(), 200);
        assert_eq!(head.all("SET-COOKIE"), ["a", "b"]);
        assert_eq!(head.headers[1].0, "set-cookie");
        assert!(head.has_token("connection", "close"));
    }

    #[test]
    fn refuses_what_no_sender_may_write() {
        for bad in [
            "A : b",
            " A: b",
            "A\n: b",
            "A: b\nC: d",
            "A",
            ": b",
            "A: b\r\n folded",
        ] {
            assert!(
                head(&format!("HTTP/1.1 200 OK\r\n{bad}")).is_err(),
                "{bad:?}"
            );
        }
        assert!(head("GET / HTTP/1.1").unwrap().status().is_err());
    }

    #[test]
    fn knows_where_a_body_ends() {
        let body = |lines: &str, method| {
            head(&format!("HTTP/1.1 200 OK\r\n{lines}"))
                .unwrap()
                .body(method)
        };
        assert_eq!(body("Content-Length: 5", "GET").unwrap(), Body::Length(5));
        assert_eq!(body("Content-Length: 5", "HEAD").unwrap(), Body::None);
        assert_eq!(
            body("Transfer-Encoding: chunked", "GET").unwrap(),
            Body::Chunked
        );
        assert_eq!(body("A: b", "GET").unwrap(), Body::Close);
        assert!(body("Content-Length: 5\r\nTransfer-Encoding: chunked", "GET").is_err());
        assert!(body("Content-Length: 5\r\nContent-Length: 5", "GET").is_err());
    }
}
