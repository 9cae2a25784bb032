//! The two shapes of an error on the wire.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use seaworthy_core::catalogue;
use serde_json::{Map, Value, json};

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

impl Format {
    /// The response for `error`.
    pub fn render(self, error: &Error, request_id: Option<&str>) -> Response<Bytes> {
        let kind = error.kind();
        let details: Map<String, Value> = error
            .details()
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Value::String(value.clone())))
            .collect();
        let (media_type, document) = match self {
            Self::Envelope => (
                "application/json",
                json!({"error": {
                    "type": kind.name,
                    "message": kind.message,
                    "details": details,
                    "request_id": request_id,
                    "timestamp": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                }}),
            ),
            Self::Problem => {
                let mut document = json!({
                    "type": format!("urn:seaworthy:error:{}", kind.name),
                    "title": kind.message,
                    "status": kind.status,
                    "request_id": request_id,
                });
                if let Some(members) = document.as_object_mut() {
                    members.extend(details);
                }
                ("application/problem+json", document)
            }
        };
        let mut response = Response::new(Bytes::from(document.to_string()));
        *response.status_mut() =
            StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
        response.extensions_mut().insert(Failure(kind));
        response
    }
}
