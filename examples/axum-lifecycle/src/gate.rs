//! Fits the drain gate and the rescue of `seaworthy-http` around an axum router.
//!
//! The layers speak of one error type for requests and one for bodies; axum has its own for both. So a router is adapted
//! at the bottom, and the rescue at the top turns a refusal into the same JSON envelope that Seaworthy answers.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::Response;
use http_body_util::BodyExt;
use seaworthy_http::drain::{Drain, DrainLayer};
use seaworthy_http::error::{BodyError, Error};
use seaworthy_http::rescue::{Format, RescueLayer};
use tower::ServiceBuilder;

/// Puts the gate in front of every route of `service`.
pub(crate) fn before(service: Router, drain: Drain) -> Router {
    let gate = ServiceBuilder::new()
        .layer(RescueLayer::new(Format::Envelope))
        .layer(DrainLayer::new(drain))
        .map_err(|never: Infallible| -> Error { match never {} })
        .map_response(|response: Response<Body>| {
            response.map(|body| body.map_err(|error| BodyError::Io(std::io::Error::other(error))))
        });
    service.layer(gate)
}
