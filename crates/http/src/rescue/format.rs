//! The two shapes of an error on the wire.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Response;
use http::header::{self, HeaderValue};
use jiff::Timestamp;
use schemars::JsonSchema;
use seaworthy_core::catalogue;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::exchange::Failure;

/// How errors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `{"error": {"type", "message", "details", "request_id", "timestamp"}}`.
    #[default]
    Envelope,
    /// RFC 9457, `application/problem+json`.
    Problem,
}

/// What Seaworthy answers when it is the one that fails.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Envelope<'a> {
    error: Told<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Told<'a> {
    /// What went wrong, as `seaworthy explain` knows it.
    r#type: &'static str,
    /// The same in words.
    message: &'a str,
    /// What is known beyond that.
    details: BTreeMap<&'a str, &'a Value>,
    /// The id of the request, where it has one.
    request_id: Option<&'a str>,
    /// When it went wrong.
    timestamp: String,
}

/// The same as RFC 9457 has it; what is known beyond that stands beside these keys.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem<'a> {
    /// `urn:seaworthy:error:` and what went wrong.
    r#type: String,
    /// The same in words.
    title: &'a str,
    /// The status code.
    status: u16,
    /// The id of the request, where it has one.
    request_id: Option<&'a str>,
    #[serde(flatten)]
    details: BTreeMap<&'a str, &'a Value>,
}

impl Format {
    /// The response for `error`.
    pub fn render(self, error: &Error, request_id: Option<&str>) -> Response<Bytes> {
        let kind = error.kind();
        let details = error.details().iter();
        let details = details.map(|(key, value)| (*key, value)).collect();
        let (media_type, document) = match self {
            Self::Envelope => (
                "application/json",
                json(&Envelope {
                    error: Told {
                        r#type: kind.name,
                        message: error.message(),
                        details,
                        request_id,
                        timestamp: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    },
                }),
            ),
            Self::Problem => (
                "application/problem+json",
                json(&Problem {
                    r#type: format!("urn:seaworthy:error:{}", kind.name),
                    title: error.message(),
                    status: error.status_code().as_u16(),
                    request_id,
                    details,
                }),
            ),
        };
        let mut response = Response::new(document);
        *response.status_mut() = error.status_code();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert("x-request-id", id);
        }
        if let Some(seconds) = error.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if kind.name == catalogue::SHUTTING_DOWN.name {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(own) = error.headers() {
            for (name, value) in own {
                headers.insert(name.clone(), value.clone());
            }
        }
        response.extensions_mut().insert(Failure(kind));
        response
    }
}

fn json(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document)
        .expect("every key of an error is a text")
        .into()
}
