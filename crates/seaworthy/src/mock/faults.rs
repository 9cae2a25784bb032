//! Paths about trouble: slow, failing, crashing, hanging.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::Shared;

/// More different numbers than any test asks for; a call with yet another number never fails.
const MOST_COUNTERS: usize = 1000;

/// How often each `/fail/N` has been called.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<u32, u32>>);

impl Failures {
    /// Whether this call is one of the first `wanted`.
    fn fails(&self, wanted: u32) -> bool {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= MOST_COUNTERS && !counters.contains_key(&wanted) {
            return false;
        }
        let calls = counters.entry(wanted).or_default();
        *calls = calls.saturating_add(1);
        *calls <= wanted
    }
}

pub(super) fn paths() -> Router<Shared> {
    Router::new()
        .route("/sleep/{ms}", any(sleep))
        .route("/status/{code}", any(status))
        .route("/fail/{count}", any(fail))
        .route("/crash", any(crash))
        .route("/hang", any(hang))
        .route("/hang/all", any(hang_all))
}

async fn sleep(Path(ms): Path<u64>) -> String {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    format!("slept {ms}ms\n")
}

async fn status(Path(code): Path<u16>) -> Response {
    match StatusCode::from_u16(code) {
        Ok(status)
            if code >= 200
                && (status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED) =>
        {
            status.into_response()
        }
        Ok(status) if code >= 200 => (status, format!("{status}\n")).into_response(),
        _ => (
            StatusCode::BAD_REQUEST,
            "a final status is a number from 200 to 999\n",
        )
            .into_response(),
    }
}

/// The first `count` calls fail, those after succeed; each count has its own counter.
async fn fail(State(shared): State<Shared>, Path(count): Path<u32>) -> Response {
    if shared.failures.fails(count) {
        (StatusCode::INTERNAL_SERVER_ERROR, "failed as asked\n").into_response()
    } else {
        "recovered\n".into_response()
    }
}

/// Dies with this request in hand, and with every other.
async fn crash() {
    super::say("mock: crashing as asked");
    std::process::abort();
}

/// Never answers, while everything else goes on.
async fn hang() {
    std::future::pending::<()>().await;
}

/// Blocks the only thread for good: nothing is answered any more, not even signals; connections are still taken by the
/// kernel, as with a wedged app.
async fn hang_all() {
    super::say("mock: wedged as asked");
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_calls_fail_and_each_count_counts_for_itself() {
        let failures = Failures::default();
        let outcomes: Vec<bool> = (0..4).map(|_| failures.fails(2)).collect();
        assert_eq!(outcomes, [true, true, false, false]);
        assert!(failures.fails(1));
        assert!(!failures.fails(0));
    }
}
