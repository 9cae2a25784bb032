//! A model server: two seconds of loading, then predictions, one at a time or in batches.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Shared;

const LOADING: Duration = Duration::from_secs(2);

/// `{"features": [1.0, 2.5]}`
#[derive(Debug, Deserialize)]
struct Single {
    features: Vec<f64>,
}

/// `{"inputs": [[1.0, 2.5], [3.0]]}`
#[derive(Debug, Deserialize)]
struct Batch {
    inputs: Vec<Vec<f64>>,
}

/// The paths of a model that began to load at `started`.
pub(super) fn paths(started: Instant) -> Router<Shared> {
    Router::new()
        .route(
            "/internal/ready",
            get(move || async move { ready(started.elapsed()) }),
        )
        .route(
            "/v1/predict",
            post(move |body: Bytes| async move { answer(started.elapsed(), &body, single) }),
        )
        .route(
            "/v1/predict/batch",
            post(move |body: Bytes| async move { answer(started.elapsed(), &body, batch) }),
        )
}

fn ready(age: Duration) -> Response {
    if age < LOADING {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"status": "loading"})),
        )
            .into_response()
    } else {
        Json(json!({"status": "ready"})).into_response()
    }
}

fn answer<T: DeserializeOwned>(age: Duration, body: &[u8], predict: fn(T) -> Response) -> Response {
    if age < LOADING {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "the model is still loading",
        );
    }
    match serde_json::from_slice(body) {
        Ok(input) => predict(input),
        Err(error) if error.is_data() => {
            refuse(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({"error": why}))).into_response()
}

fn single(input: Single) -> Response {
    Json(json!({"prediction": mean(&input.features), "model": "mock"})).into_response()
}

fn batch(input: Batch) -> Response {
    let predictions: Vec<f64> = input.inputs.iter().map(|features| mean(features)).collect();
    Json(json!({"predictions": predictions, "model": "mock"})).into_response()
}

/// The whole model.
fn mean(features: &[f64]) -> f64 {
    let (count, sum) = features.iter().fold((0.0, 0.0), |(count, sum), feature| {
        (count + 1.0, sum + feature)
    });
    if count == 0.0 { 0.0 } else { sum / count }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(age: u64, body: &str) -> u16 {
        answer(Duration::from_millis(age), body.as_bytes(), single)
            .status()
            .as_u16()
    }

    #[test]
    fn nothing_is_predicted_before_the_model_is_loaded() {
        assert_eq!(
            ready(Duration::from_millis(1999)).status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(ready(LOADING).status(), StatusCode::OK);
        assert_eq!(status(1999, r#"{"features": [1]}"#), 503);
        assert_eq!(status(2000, r#"{"features": [1]}"#), 200);
    }

    #[test]
    fn bad_json_and_wrong_json_are_told_apart() {
        assert_eq!(status(2000, "{"), 400);
        assert_eq!(status(2000, r#"{"features": "x"}"#), 422);
        assert_eq!(status(2000, "{}"), 422);
    }

    #[test]
    fn the_model_is_the_mean() {
        assert_eq!([mean(&[1.0, 2.0, 6.0]), mean(&[])], [3.0, 0.0]);
    }
}
