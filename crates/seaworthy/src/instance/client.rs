//! A client for the admin API of one instance: one connection, one request, one answer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use seaworthy_core::address::Address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// More than any answer of the API needs.
const LARGEST_ANSWER: usize = 16 << 20;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// Only an admin API is given a token.
    pub token: Option<&'a str>,
    /// The formats that are wanted.
    pub accept: Option<&'a str>,
    /// A JSON document to send along.
    pub body: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// A plain `GET`.
    pub fn get(path: &'a str) -> Self {
        Self {
            method: &Method::GET,
            path,
            token: None,
            accept: None,
            body: None,
        }
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The fields.
    pub headers: HeaderMap,
    /// The body, JSON by contract.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The admin address.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody listens but does not speak as expected.
    #[error("{address} broke the connection off: {source}")]
    Broken {
        /// The admin address.
        address: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It takes too long.
    #[error("{address} did not answer within {} s", after.as_secs_f64())]
    Slow {
        /// The admin address.
        address: String,
        /// How long it was waited for.
        after: Duration,
    },
}

/// Sends one request to `address` and waits for the whole answer.
///
/// # Errors
/// When it cannot be reached, breaks off or takes longer than `timeout`.
pub async fn call(
    address: &Address,
    question: Question<'_>,
    timeout: Duration,
) -> Result<Answer, Error> {
    let asked = async {
        let connect = |source| Error::Connect {
            address: address.to_string(),
            source,
        };
        match address {
            Address::Tcp(to) => {
                let stream = TcpStream::connect(to).await.map_err(connect)?;
                ask(stream, address, question).await
            }
            Address::Unix(to) => {
                let stream = UnixStream::connect(to).await.map_err(connect)?;
                ask(stream, address, question).await
            }
        }
    };
    match tokio::time::timeout(timeout, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Slow {
            address: address.to_string(),
            after: timeout,
        }),
    }
}

async fn ask<S>(stream: S, address: &Address, question: Question<'_>) -> Result<Answer, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |source: Box<dyn std::error::Error + Send + Sync>| Error::Broken {
        address: address.to_string(),
        source,
    };
    let request = request(address, question).map_err(|error| broken(error.into()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.into()))?;
    let answered = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(error.into()))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER)
            .collect()
            .await
            .map_err(broken)?
            .to_bytes();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    };
    // Both halves on this task: an answer ends the wait, and the connection is dropped with it.
    tokio::pin!(answered);
    tokio::select! {
        answer = &mut answered => answer,
        ended = connection => match ended {
            Ok(()) => answered.await,
            Err(error) => Err(broken(error.into())),
        },
    }
}

fn request(
    address: &Address,
    question: Question<'_>,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let host = match address {
        Address::Tcp(to) => to.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let mut request = Request::builder()
        .method(question.method)
        .uri(question.path)
        .header(HOST, host);
    if let Some(token) = question.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(accept) = question.accept {
        request = request.header(ACCEPT, accept);
    }
    let body = question.body.unwrap_or_default().to_owned();
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(Full::new(body.into()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    fn with_token<'a>(token: &'a str, method: &'a Method, path: &'a str) -> Question<'a> {
        Question {
            method,
            token: Some(token),
            ..Question::get(path)
        }
    }

    const SOON: Duration = Duration::from_secs(5);

    async fn serve_one<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &str) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    }

    #[tokio::test]
    async fn the_token_goes_along_over_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let served = async {
            serve_one(
                listener.accept().await.unwrap().0,
                "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}",
            )
            .await
        };
        let (request, answer) = tokio::join!(
            served,
            call(
                &address,
                with_token("secret", &Method::POST, "/-/stop"),
                SOON
            )
        );
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (202, &b"{}"[..])
        );
        assert!(
            request.starts_with("POST /-/stop HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("authorization: Bearer secret\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_body_that_ends_with_the_connection_is_read_over_a_unix_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let served = async {
            serve_one(
                listener.accept().await.unwrap().0,
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall",
            )
            .await
        };
        let address = Address::Unix(path);
        let (_, answer) = tokio::join!(
            served,
            call(&address, with_token("t", &Method::GET, "/-/status"), SOON)
        );
        assert_eq!(&answer.unwrap().body[..], b"all");
    }

    #[tokio::test]
    async fn absent_silent_and_broken_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let ask = |timeout| call(&address, Question::get("/"), timeout);
        assert!(matches!(
            ask(Duration::from_millis(20)).await,
            Err(Error::Slow { .. })
        ));
        let served = async {
            let (_unanswered, _) = listener.accept().await.unwrap();
            serve_one(listener.accept().await.unwrap().0, "nonsense\r\n\r\n").await
        };
        let (_, answer) = tokio::join!(served, ask(SOON));
        assert!(matches!(answer, Err(Error::Broken { .. })));
        drop(listener);
        assert!(matches!(ask(SOON).await, Err(Error::Connect { .. })));
    }
}
