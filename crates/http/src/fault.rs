//! What goes wrong on the wire, told in the log: requests and answers that break HTTP's rules, and an app that fails.
//!
//! The access log names the kind of an error; why it came is said here, under the same request id. Strangers and a dying
//! app can cause these lines as fast as they like, so only a few of a kind pass each second, and the next one says how many
//! were held back. The metrics count them all. Nothing here is on the road of a request that goes well, so the locks cost
//! nobody anything.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use seaworthy_core::catalogue;
use seaworthy_core::names::event;
use seaworthy_core::request_id::RequestId;
use seaworthy_core::throttle::Throttle;

use crate::error::{BodyError, Error};

/// Lines of one kind in each [`WINDOW`], for the whole process.
const MOST: u32 = 5;
const WINDOW: Duration = Duration::from_secs(1);

// Each source has its own, or a stranger's nonsense would hide what the app does wrong.
static REQUESTS: Mutex<Throttle> = Mutex::new(Throttle::new(MOST, WINDOW));
static ANSWERS: Mutex<Throttle> = Mutex::new(Throttle::new(MOST, WINDOW));
static FAILED: Mutex<Throttle> = Mutex::new(Throttle::new(MOST, WINDOW));
static FELL_BACK: Mutex<Throttle> = Mutex::new(Throttle::new(MOST, WINDOW));

/// How many were held back, when this one may be told. `None` in a line where that is nothing.
fn pass(throttle: &Mutex<Throttle>) -> Option<Option<u64>> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    let held_back = throttle.pass(Instant::now())?;
    Some((held_back > 0).then_some(held_back))
}

/// A head that nobody can serve.
pub(crate) fn rejected_head(error: &Error, request_id: &RequestId, peer: Option<SocketAddr>) {
    let Some(suppressed) = pass(&REQUESTS) else {
        return;
    };
    tracing::info!(
        event = event::HTTP_REJECTED,
        request_id = request_id.as_str(),
        from = "client",
        error = error.kind().name,
        client = peer.map(|peer| tracing::field::display(peer.ip().to_canonical())),
        suppressed,
        "a request was refused and its connection closed: {}",
        reason(error)
    );
}

/// An error that a layer of the stack came to.
pub(crate) fn tell(error: &Error, request_id: Option<&RequestId>) {
    let kind = error.kind();
    let failure = match kind.name {
        name if name == catalogue::UPSTREAM_CRASHED.name => "the app ended with a request in hand",
        name if name == catalogue::UPSTREAM_CLOSED.name => {
            "the app closed the connection before it answered"
        }
        name if name == catalogue::UPSTREAM_UNREACHABLE.name => "the app cannot be connected to",
        name if name == catalogue::UPSTREAM_TIMEOUT.name => "the app did not answer in time",
        _ => return tell_refusal(error, request_id),
    };
    let Some(suppressed) = pass(&FAILED) else {
        return;
    };
    tracing::warn!(
        event = event::UPSTREAM_FAILED,
        request_id = request_id.map(RequestId::as_str),
        error = kind.name,
        suppressed,
        "{failure}"
    );
}

fn tell_refusal(error: &Error, request_id: Option<&RequestId>) {
    let request_id = request_id.map(RequestId::as_str);
    let kind = error.kind();
    let (by_app, by_client) = (
        kind.name == catalogue::BAD_UPSTREAM_RESPONSE.name,
        kind.name == catalogue::MALFORMED_REQUEST.name,
    );
    if !by_app && !by_client {
        tracing::debug!(
            event = event::REQUEST_REFUSED,
            request_id,
            error = kind.name,
            "a request was refused: {error}"
        );
        return;
    }
    let throttle = if by_app { &ANSWERS } else { &REQUESTS };
    let Some(suppressed) = pass(throttle) else {
        return;
    };
    let reason = reason(error);
    if by_app {
        tracing::warn!(
            event = event::HTTP_REJECTED,
            request_id,
            from = "app",
            error = kind.name,
            suppressed,
            "an answer of the app is not valid HTTP: {reason}"
        );
    } else {
        tracing::info!(
            event = event::HTTP_REJECTED,
            request_id,
            from = "client",
            error = kind.name,
            suppressed,
            "a request was given up: {reason}"
        );
    }
}

fn reason(error: &Error) -> &str {
    let details = error.details().iter();
    let mut reasons = details.filter(|(key, _)| *key == "reason");
    reasons
        .next()
        .and_then(|(_, reason)| reason.as_str())
        .unwrap_or(error.kind().message)
}

/// The app's side failed in the middle of an answer, of which the client has the beginning.
pub(crate) fn broke_off(error: &BodyError, request_id: Option<&RequestId>) {
    let Some(suppressed) = pass(&FAILED) else {
        return;
    };
    tracing::warn!(
        event = event::UPSTREAM_FAILED,
        request_id = request_id.map(RequestId::as_str),
        suppressed,
        "the app broke off in the middle of an answer: {error}"
    );
}

/// A fallback was used.
pub(crate) fn fell_back(name: &str, cause: &'static str, request_id: Option<&RequestId>) {
    let Some(suppressed) = pass(&FELL_BACK) else {
        return;
    };
    tracing::warn!(
        event = event::FALLBACK_USED,
        request_id = request_id.map(RequestId::as_str),
        fallback = name,
        cause,
        suppressed,
        "the fallback {name} was used"
    );
}
