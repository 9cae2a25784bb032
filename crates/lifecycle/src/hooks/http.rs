//! A hook that makes a request.
//!
//! It is one request without a body over a connection of its own, and only the status of the answer is read; a client
//! library would be the larger part of this crate. There is no TLS: a hook that needs it can run `curl`.

use std::io;

use seaworthy_core::address::Address;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// A head longer than this is no answer.
const LONGEST_HEAD: usize = 16 * 1024;

/// A request without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: String,
    /// Host and port as the URL names them; `None` is the app.
    authority: Option<String>,
    /// Path and query.
    target: String,
}

/// The URL or the method cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(String);

impl Request {
    /// Reads a URL: `http://HOST[:PORT]/PATH`, or `/PATH` alone for the app.
    ///
    /// # Errors
    /// When it is neither, or when it or the method holds characters that they must not.
    pub fn new(method: &str, url: &str) -> Result<Request, BadUrl> {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(BadUrl(format!(
                "`{method}` is not a method; write POST or GET"
            )));
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadUrl(format!(
                "`{url}` holds characters that a URL must escape"
            )));
        }
        let bare = url.split_once('#').map_or(url, |(bare, _)| bare);
        let (authority, target) = if bare.starts_with('/') {
            (None, bare.to_owned())
        } else if let Some(rest) = bare.strip_prefix("http://") {
            let at = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, target) = rest.split_at(at);
            if authority.is_empty() || authority.contains('@') {
                return Err(BadUrl(format!(
                    "`{url}` names no host; write `http://HOST:PORT/PATH`"
                )));
            }
            let slash = if target.starts_with('/') { "" } else { "/" };
            (Some(authority.to_owned()), format!("{slash}{target}"))
        } else if bare.starts_with("https://") {
            return Err(BadUrl(format!(
                "`{url}` needs TLS, which hooks do not speak; use `exec: [curl, …]`"
            )));
        } else {
            return Err(BadUrl(format!(
                "`{url}` is not a URL; write `http://HOST:PORT/PATH`, or `/PATH` for the app"
            )));
        };
        Ok(Request {
            method: method.to_ascii_uppercase(),
            authority,
            target,
        })
    }

    /// Sends it and reads the status of the answer. `app` is where a request goes that names only a path.
    pub(super) async fn send(&self, app: Option<&Address>) -> Result<(), String> {
        let told = |error: io::Error| format!("{} {}: {error}", self.method, self.shown());
        let status = match (&self.authority, app) {
            (Some(authority), _) => {
                let stream = connect(authority).await.map_err(told)?;
                self.speak(stream, authority).await
            }
            (None, Some(Address::Tcp(addr))) => {
                let stream = TcpStream::connect(addr).await.map_err(told)?;
                self.speak(stream, &addr.to_string()).await
            }
            (None, Some(Address::Unix(path))) => {
                let stream = UnixStream::connect(path).await.map_err(told)?;
                self.speak(stream, "localhost").await
            }
            (None, None) => {
                return Err(format!(
                    "{} goes to the app, which is not running",
                    self.target
                ));
            }
        }
        .map_err(told)?;
        match status {
            200..=299 => Ok(()),
            _ => Err(format!(
                "{} {} was answered with {status}",
                self.method,
                self.shown()
            )),
        }
    }

    async fn speak(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        host: &str,
    ) -> io::Result<u16> {
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: seaworthy\r\nAccept: */*\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.method, self.target
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(bad("the connection was closed before an answer came"));
            }
            if let Some(status) = final_status(&mut answer)? {
                return Ok(status);
            }
            if answer.len() > LONGEST_HEAD {
                return Err(bad("the answer has no end of its head"));
            }
        }
    }

    fn shown(&self) -> String {
        match &self.authority {
            Some(authority) => format!("http://{authority}{}", self.target),
            None => format!("{} of the app", self.target),
        }
    }
}

async fn connect(authority: &str) -> io::Result<TcpStream> {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty()
    });
    if has_port {
        TcpStream::connect(authority).await
    } else {
        TcpStream::connect((authority.trim_matches(['[', ']']), 80)).await
    }
}

/// The status of the answer once its line is complete; 1xx answers are skipped with their whole head.
fn final_status(answer: &mut Vec<u8>) -> io::Result<Option<u16>> {
    loop {
        let Some(end) = answer.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let status = answer
            .get(..end)
            .and_then(|line| line.strip_prefix(b"HTTP/1."))
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .filter(|status| (100..=999).contains(status))
            .ok_or_else(|| bad("the answer is not HTTP"))?;
        if status >= 200 {
            return Ok(Some(status));
        }
        let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        answer.drain(..head + 4);
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_urls() {
        let shown = |url| {
            Request::new("post", url).map(|request| (request.method.clone(), request.shown()))
        };
        let is = |url, text: &str| {
            assert_eq!(
                shown(url).unwrap(),
                ("POST".to_owned(), text.to_owned()),
                "{url}"
            )
        };
        is("http://127.0.0.1:9/a?b=c#d", "http://127.0.0.1:9/a?b=c");
        is("http://host", "http://host/");
        is("http://host?x", "http://host/?x");
        is("/internal/unload", "/internal/unload of the app");
        for (url, why) in [
            ("https://host/", "curl"),
            ("ftp://host/", "is not a URL"),
            ("http:///x", "no host"),
            ("http://a b/", "escape"),
            ("http://h/\r\nX: y", "escape"),
        ] {
            let error = shown(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
        assert!(Request::new("GE T", "/x").is_err());
    }

    #[test]
    fn reads_the_status_behind_informational_answers() {
        let read = |text: &str| final_status(&mut text.as_bytes().to_vec());
        assert_eq!(read("HTTP/1.1 204 No Content\r\n").unwrap(), Some(204));
        assert_eq!(read("HTTP/1.0 500\r\n").unwrap(), Some(500));
        assert_eq!(
            read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n").unwrap(),
            Some(200)
        );
        assert_eq!(
            read("HTTP/1.1 103 Early Hints\r\nLink: x\r\n").unwrap(),
            None
        );
        assert_eq!(read("HTTP/1.1 20").unwrap(), None);
        assert!(read("SSH-2.0-x\r\n").is_err());
        assert!(read("HTTP/1.1 abc\r\n").is_err());
    }
}
