//! Whether a gRPC server says that it serves, by the protocol `grpc.health.v1`.
//!
//! It is one call with a message of one field each way, so it is written here over HTTP/2 and needs no code generator. Each run
//! has a connection of its own, for the reason of [`super::http`], and no task: dropping the run closes it.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::{HeaderMap, Method, Request, Uri, header};
use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use super::stream::{Stream, Target};
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome, Running};

const PATH: &str = "/grpc.health.v1.Health/Check";

/// The answer has one field; more is not an answer.
const MOST: usize = 1024;

/// Asks a gRPC server for its health (`grpc.health.v1`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Grpc {
    /// The server, such as `http://orders:50051`, or `https://…` with TLS.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// The service that is asked about, such as `shop.Orders`. Default: the server as a whole.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub service: String,
    /// A file of PEM certificates that are trusted instead of those of the system. Default: those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

impl Probe for Grpc {
    const KIND: &'static str = "grpc";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, &["http", "https"], around, faults);
        if !matches!(self.url.expose().path(), "" | "/") {
            let message = "the health of a gRPC server has a fixed path";
            faults.push(Fault::new(
                "url",
                message,
                "leave the path out, and use `service`",
            ));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let target = Target::web(&self.url, self.ca.clone(), &[b"h2"]);
        Arc::new(Asks {
            uri: Uri::builder()
                .scheme(if target.tls { "https" } else { "http" })
                .authority(target.shown())
                .path_and_query(PATH)
                .build()
                .ok(),
            target,
            question: question(&self.service),
        })
    }
}

struct Asks {
    target: Target,
    /// `None` when the host cannot be an authority.
    uri: Option<Uri>,
    question: Bytes,
}

impl Check for Asks {
    fn kind(&self) -> &'static str {
        Grpc::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            let Some(uri) = self.uri.clone() else {
                return Outcome::unhealthy("its host name cannot be sent");
            };
            let stream = match self.target.connect().await {
                Ok(stream) => stream,
                Err(outcome) => return outcome,
            };
            match exchange(stream, uri, self.question.clone()).await {
                Ok(answer) => answer.judge(),
                Err(error) if error.is_io() => {
                    Outcome::unhealthy("it ended the connection before its answer was complete")
                }
                Err(error) if error.is_remote() => Outcome::unhealthy("it refused the call"),
                Err(_) => Outcome::unhealthy("it does not speak HTTP/2"),
            }
        })
    }
}

/// The message `HealthCheckRequest { string service = 1 }`, framed.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        // The field's number and type, then its length as a varint: the schema allows no more than two bytes of it.
        message.put_u8(0x0a);
        let bytes = &service.as_bytes()[..service.len().min(0x3fff)];
        let length = u16::try_from(bytes.len()).unwrap_or(0x3fff);
        if length < 0x80 {
            message.put_u8(length.to_le_bytes()[0]);
        } else {
            message.put_u8((length & 0x7f).to_le_bytes()[0] | 0x80);
            message.put_u8((length >> 7).to_le_bytes()[0]);
        }
        message.put_slice(bytes);
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0); // not compressed
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put_slice(&message);
    framed.freeze()
}

/// What came back.
#[derive(Debug, Default)]
struct Answer {
    http: u16,
    /// `grpc-status`, when there was one.
    status: Option<u16>,
    body: Vec<u8>,
}

async fn exchange(stream: Stream, uri: Uri, question: Bytes) -> Result<Answer, h2::Error> {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(16 * 1024)
        .initial_window_size(64 * 1024);
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await?;
    let mut connection = pin!(connection);
    let talk = pin!(talk(sender, uri, question));
    match select(talk, &mut connection).await {
        Either::Left((answer, _)) => answer,
        Either::Right((Err(error), _)) => Err(error),
        Either::Right((Ok(()), talk)) => talk.await,
    }
}

async fn talk(
    sender: h2::client::SendRequest<Bytes>,
    uri: Uri,
    question: Bytes,
) -> Result<Answer, h2::Error> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let fields = request.headers_mut();
    let fixed = header::HeaderValue::from_static;
    fields.insert(header::CONTENT_TYPE, fixed("application/grpc"));
    fields.insert(header::TE, fixed("trailers"));
    let agent = concat!("seaworthy/", env!("CARGO_PKG_VERSION"));
    fields.insert(header::USER_AGENT, fixed(agent));
    let mut sender = sender.ready().await?;
    let (response, mut sending) = sender.send_request(request, false)?;
    sending.send_data(question, true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut answer = Answer {
        http: head.status.as_u16(),
        status: grpc_status(&head.headers),
        body: Vec::new(),
    };
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        answer.body.extend_from_slice(&data);
        if answer.body.len() > MOST {
            return Ok(answer);
        }
    }
    if let Some(trailers) = body.trailers().await? {
        answer.status = grpc_status(&trailers).or(answer.status);
    }
    Ok(answer)
}

fn grpc_status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

impl Answer {
    fn judge(&self) -> Outcome {
        if self.http != 200 {
            return Outcome::unhealthy(format!("Status code: {}", self.http));
        }
        match self.status {
            Some(0) => {}
            Some(5) => return Outcome::unhealthy("it does not know the service"),
            Some(12) => return Outcome::unhealthy("it does not offer grpc.health.v1"),
            Some(code) => return Outcome::unhealthy(format!("gRPC status {code}")),
            None => return Outcome::unhealthy("it does not speak gRPC"),
        }
        match self.serving() {
            Some(1) => Outcome::healthy("it is serving").with("serving_status", "SERVING"),
            Some(2) => {
                Outcome::unhealthy("it is not serving").with("serving_status", "NOT_SERVING")
            }
            Some(3) => Outcome::unhealthy("it does not know the service"),
            Some(_) => Outcome::unknown("it does not know whether it is serving"),
            None => Outcome::unhealthy("it does not speak grpc.health.v1"),
        }
    }

    /// The field of `HealthCheckResponse { ServingStatus status = 1 }`; a field that is not there is 0.
    fn serving(&self) -> Option<u8> {
        let (prefix, message) = self.body.split_at_checked(5)?;
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        if prefix[0] != 0 || u32::try_from(message.len()).ok()? != length {
            return None;
        }
        match message {
            [] => Some(0),
            [0x08, status] => Some(*status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_the_service() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(200));
        assert_eq!(&long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 0x01]);
    }

    #[test]
    fn an_answer_of_anything_else_is_none() {
        for body in [
            &[][..],
            &[0, 0, 0, 0, 2, 8],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 2, 9, 1],
            &[0, 255, 255, 255, 255],
        ] {
            let body = body.to_vec();
            let answer = Answer {
                body,
                ..Answer::default()
            };
            assert_eq!(answer.serving(), None, "{answer:?}");
        }
    }
}
