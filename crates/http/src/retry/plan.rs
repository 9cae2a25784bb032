//! What is repeated on a route.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap};
use http::{Response, StatusCode};
use seaworthy_core::catalogue;
use seaworthy_core::retry::{Budget, Eligible, Schedule};

use crate::error::Error;

/// How the requests of a route are repeated.
#[derive(Debug)]
pub struct Plan {
    /// How often and after which waits.
    pub schedule: Schedule,
    /// Which requests may be.
    pub eligible: Eligible,
    /// Whether to repeat when no connection could be made.
    pub connect: bool,
    /// The statuses of answers that pass: the app's, and those that stand for its failure.
    pub statuses: Vec<u16>,
    /// How much of a body is kept for another try, in bytes.
    pub keep: usize,
    /// The time from the beginning of the request that nothing goes beyond.
    pub deadline: Option<Duration>,
    /// Bounds the repetitions of everybody together.
    pub budget: Option<Arc<Budget>>,
    /// Counts.
    pub tally: Arc<Tally>,
}

/// What became of repetitions.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests sent again.
    pub retries: AtomicU64,
    /// Requests that succeeded after they had been sent again.
    pub recovered: AtomicU64,
    /// Requests that failed although they had been sent again.
    pub failed: AtomicU64,
    /// Repetitions that the budget did not allow.
    pub exhausted: AtomicU64,
}

impl Tally {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A failure that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passing {
    /// Nothing was sent, so nothing can have had an effect.
    pub(super) unsent: bool,
    /// What the answer asks for in `Retry-After`.
    pub(super) asked: Option<Duration>,
}

impl Plan {
    /// Whether an outcome is worth another try.
    pub(super) fn passing<R>(&self, result: &Result<Response<R>, Error>) -> Option<Passing> {
        match result {
            Ok(response) => self
                .statuses
                .contains(&response.status().as_u16())
                .then(|| Passing {
                    unsent: false,
                    asked: retry_after(response.headers()),
                }),
            Err(error) => self.passing_error(error),
        }
    }

    fn passing_error(&self, error: &Error) -> Option<Passing> {
        let kind = error.kind();
        let unsent = *kind == catalogue::UPSTREAM_UNREACHABLE;
        let stands_for_the_app = [
            &catalogue::UPSTREAM_UNREACHABLE,
            &catalogue::UPSTREAM_CLOSED,
            &catalogue::BAD_UPSTREAM_RESPONSE,
            &catalogue::UPSTREAM_TIMEOUT,
        ]
        .contains(&kind);
        let listed = stands_for_the_app && self.statuses.contains(&kind.status);
        (listed || unsent && self.connect).then_some(Passing {
            unsent,
            asked: None,
        })
    }

    /// Whether this outcome is a failure that repetitions were meant for.
    pub(super) fn is_failure<R>(&self, result: &Result<Response<R>, Error>) -> bool {
        match result {
            Ok(response) => response.status() >= StatusCode::INTERNAL_SERVER_ERROR,
            Err(_) => true,
        }
    }
}

/// The wait that an answer asks for. A date that has passed is no wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(
        date.duration_since(SystemTime::now())
            .unwrap_or(Duration::ZERO),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(value).expect("a value");
        headers.insert(header::RETRY_AFTER, value);
        retry_after(&headers)
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_a_past_date_is_none() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = SystemTime::now() + Duration::from_secs(90);
        let wait = asked(&httpdate::fmt_http_date(soon)).expect("a date");
        assert!((60..=90).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(asked("-1"), None);
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("99999999999999999999999"), None);
    }
}
