//! Paths about bodies: echoed, streamed, of a given size.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get};
use futures_util::stream;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;

/// The pattern repeats without a seam: 251 is prime, so no power of two hides a shifted or lost block.
const PATTERN: u64 = 251;
const BLOCK: usize = 251 * 256;

pub(super) fn paths() -> Router<Shared> {
    Router::new()
        .route("/", get(|| async { "seaworthy mock\n" }))
        .route("/echo", any(echo))
        .route("/stream/{count}", get(stream_chunks))
        .route("/bytes/{size}", get(bytes))
}

#[derive(Debug, Deserialize)]
struct EchoQuery {
    headers: Option<String>,
}

/// Answers after the whole request. With `?headers` it reports what arrived and keeps none of the body.
async fn echo(Query(query): Query<EchoQuery>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    if query.headers.is_none() {
        let content_type = head.headers.get(CONTENT_TYPE).cloned();
        return match body.collect().await {
            Ok(whole) => {
                let mut response = whole.to_bytes().into_response();
                let octets = HeaderValue::from_static("application/octet-stream");
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, content_type.unwrap_or(octets));
                response
            }
            Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
        };
    }
    let (mut size, mut trailers) = (0, HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        match frame.into_data() {
            Ok(data) => size += data.len(),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Json(json!({
        "method": head.method.as_str(),
        "uri": head.uri.to_string(),
        "version": format!("{:?}", head.version),
        "headers": pairs(&head.headers),
        "bytes": size,
        "trailers": pairs(&trailers),
    }))
    .into_response()
}

/// Every header line by itself and in order, so that a test sees doubled ones.
fn pairs(headers: &HeaderMap) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect()
}

#[derive(Debug, Deserialize)]
struct StreamQuery {
    sse: Option<String>,
    ms: Option<u64>,
}

/// `count` chunks, 10 ms or `?ms=` apart; `?sse` makes them events.
async fn stream_chunks(Path(count): Path<u64>, Query(query): Query<StreamQuery>) -> Response {
    let pause = Duration::from_millis(query.ms.unwrap_or(10));
    let sse = query.sse.is_some();
    let chunks = stream::unfold(0, move |at| async move {
        if at == count {
            return None;
        }
        if at > 0 {
            tokio::time::sleep(pause).await;
        }
        let chunk = if sse {
            format!("id: {at}\ndata: event {at}\n\n")
        } else {
            format!("chunk {at}\n")
        };
        Some((Ok::<_, Infallible>(chunk), at + 1))
    });
    let content_type = if sse {
        "text/event-stream"
    } else {
        "text/plain; charset=utf-8"
    };
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(chunks)).into_response()
}

#[derive(Debug, Deserialize)]
struct BytesQuery {
    chunked: Option<String>,
}

/// `size` bytes of a fixed pattern, with their length unless `?chunked`; never held in memory at once.
async fn bytes(Path(size): Path<u64>, Query(query): Query<BytesQuery>) -> Response {
    let block: Vec<u8> = (0..BLOCK)
        .map(|at| u8::try_from(at as u64 % PATTERN).expect("below 251"))
        .collect();
    let block = Bytes::from(block);
    let blocks = stream::unfold((size, block), |(left, block)| async move {
        let next = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK);
        (next > 0).then(|| {
            (
                Ok::<_, Infallible>(block.slice(..next)),
                (left - next as u64, block),
            )
        })
    });
    let mut response = Body::from_stream(blocks).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if query.chunked.is_none() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    }
    response
}
