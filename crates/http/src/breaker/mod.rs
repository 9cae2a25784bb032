//! Keeps requests away from an app that fails, and asks it now and then whether it is well again.
//!
//! What opens and closes a breaker is decided in `core::breaker`; this is its place in the stack. Below retries, so that
//! each try counts for itself, and above the time limit of a try, so that an app that does not answer has failed. A permit
//! is held until the head of the answer, because what comes after it is a matter of the body: a stream may last for hours
//! and its end says nothing of whether the app is well. A request that is given up before that counts as neither success
//! nor failure.
//!
//! Answers to wrong requests (4xx) are no failures, and neither are refusals of layers below that did not ask the app.

mod layer;

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use seaworthy_core::breaker::Breaker;
use seaworthy_core::catalogue::{self, ErrorType};

use crate::cover::Cover;
use crate::rescue::Watch;

pub use layer::{Break, BreakerLayer, Judged, ResponseFuture};

/// A breaker under its name.
pub struct Circuit {
    /// The name in errors, metrics and events.
    pub name: Box<str>,
    /// The breaker.
    pub breaker: Arc<Breaker>,
    /// Is told of every failure.
    pub watch: Option<Arc<dyn Watch + Send + Sync>>,
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("name", &self.name)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

/// Which circuit a request belongs to.
pub type Circuits = Arc<Cover<Arc<Circuit>>>;

/// Whether an answer says that the app failed. One to a wrong request (4xx) does not: the client is to blame.
fn is_failed(status: StatusCode) -> bool {
    status.is_server_error()
}

/// Whether an error of a layer below says that the app failed. The others do not say anything about it: it is starting, it
/// was not asked, or the client is to blame.
pub fn is_failure(kind: &ErrorType) -> bool {
    [
        &catalogue::UPSTREAM_CRASHED,
        &catalogue::UPSTREAM_CLOSED,
        &catalogue::UPSTREAM_UNREACHABLE,
        &catalogue::BAD_UPSTREAM_RESPONSE,
        &catalogue::UPSTREAM_TIMEOUT,
        &catalogue::TIMEOUT,
    ]
    .contains(&kind)
}
