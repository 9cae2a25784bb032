//! One request on a connection of its own.
//!
//! A connection for each run, because that is what the next client gets: a kept one goes on working while nobody new is let
//! in, and stays at an address that the name has left. The exchange is one future without tasks, so that a cancelled run closes
//! the connection. Redirects are not followed: where they lead nobody has checked.

use std::path::PathBuf;
use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use seaworthy_core::dsn::Dsn;

use super::super::stream::{Stream, Target};
use crate::Outcome;

/// So much of a head and of a body is read.
const MOST: usize = 64 * 1024;

/// Where requests go, and what they carry.
#[derive(Debug)]
pub(in crate::probe) struct Client {
    target: Target,
    method: Method,
    uri: Uri,
    fields: HeaderMap,
}

/// What came back.
pub(in crate::probe) struct Answer {
    pub(in crate::probe) code: u16,
    /// At most 64 KiB.
    pub(in crate::probe) body: Vec<u8>,
    /// The body is longer than that.
    pub(in crate::probe) cut: bool,
}

impl Client {
    pub(in crate::probe) fn new(
        url: &Dsn,
        method: Method,
        fields: HeaderMap,
        ca: Option<PathBuf>,
    ) -> Self {
        let target = Target::web(url, ca, &[b"http/1.1"]);
        let whole = url.expose();
        let query = whole.query().map(|q| format!("?{q}")).unwrap_or_default();
        let path = format!("{}{query}", whole.path());
        let host = if target.port == if target.tls { 443 } else { 80 } {
            whole.host_str().unwrap_or_default().to_owned()
        } else {
            target.shown()
        };
        let mut all = HeaderMap::new();
        all.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        all.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("seaworthy/", env!("CARGO_PKG_VERSION"))),
        );
        all.insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Ok(host) = HeaderValue::try_from(host) {
            all.insert(header::HOST, host);
        }
        if let Some(basic) = authorization(url) {
            all.insert(header::AUTHORIZATION, basic);
        }
        if method == Method::POST {
            all.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        all.extend(fields);
        Self {
            target,
            method,
            // A URL that was parsed has a path that can be sent.
            uri: path.parse().unwrap_or_default(),
            fields: all,
        }
    }

    /// Host and port.
    pub(in crate::probe) fn shown(&self) -> String {
        self.target.shown()
    }

    /// Asks once, with further fields.
    pub(in crate::probe) async fn ask(&self, further: HeaderMap) -> Result<Answer, Outcome> {
        let stream = self.target.connect().await?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.fields.clone();
        request.headers_mut().extend(further);
        exchange(stream, request)
            .await
            .map_err(|error| Outcome::unhealthy(failure(&error)))
    }
}

fn authorization(url: &Dsn) -> Option<HeaderValue> {
    use base64::Engine as _;
    let (user, password) = (url.user(), url.password());
    if user.is_none() && password.is_none() {
        return None;
    }
    let pair = format!(
        "{}:{}",
        user.unwrap_or_default(),
        password.unwrap_or_default()
    );
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn exchange(stream: Stream, request: Request<Empty<Bytes>>) -> hyper::Result<Answer> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let talk = pin!(async {
        let response = sender.send_request(request).await?;
        let code = response.status().as_u16();
        let (body, cut) = read(response.into_body()).await?;
        Ok(Answer { code, body, cut })
    });
    match select(talk, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // What it had read is still to be had, and otherwise the error is.
        Either::Right((_, talk)) => talk.await,
    }
}

async fn read(mut body: Incoming) -> hyper::Result<(Vec<u8>, bool)> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = MOST - read.len();
        if data.len() > room {
            read.extend_from_slice(&data[..room]);
            return Ok((read, true));
        }
        read.extend_from_slice(&data);
    }
    Ok((read, false))
}

fn failure(error: &hyper::Error) -> &'static str {
    if error.is_parse() {
        "it does not speak HTTP"
    } else {
        "it ended the connection before its answer was complete"
    }
}
