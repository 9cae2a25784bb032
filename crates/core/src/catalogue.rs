//! The error catalogue: every error that Seaworthy itself can answer, with its status, its message and the way out.
//!
//! One table instead of texts at the places that fail, so that the envelope, the access log, the metrics and `explain`
//! speak of the same error with the same word, and so that a test can read them all. A message is written for whoever
//! called the service and says nothing about its insides; the hint is written for whoever runs it. The service's own
//! errors are not here: they pass through untouched, unless the configuration has them wrapped ([`APP_FAILED`]).

/// One kind of error that Seaworthy answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorType {
    /// The word in `error.type`, in the access log and after `seaworthy explain`.
    pub name: &'static str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What the caller is told.
    pub message: &'static str,
    /// What the operator can do about it.
    pub hint: &'static str,
    /// Seconds for `Retry-After`, where trying again is worth it; whoever knows better may send another number.
    pub retry_after: Option<u32>,
}

/// The drain has begun and new requests are no longer taken.
pub static SHUTTING_DOWN: ErrorType = ErrorType {
    name: "ShuttingDown",
    status: 503,
    message: "The service is shutting down and takes no new requests.",
    hint: "The balancer still sends requests after the instance said it is not ready: raise shutdown.propagation, or check that the balancer watches /health/ready.",
    retry_after: Some(1),
};

/// The app did not become ready while the request was parked.
pub static STARTING: ErrorType = ErrorType {
    name: "Starting",
    status: 503,
    message: "The service is still starting.",
    hint: "The app was not ready before app.startup.park ran out: wait for /health/ready before sending traffic, or raise app.startup.park.",
    retry_after: Some(1),
};

/// The app is down and its next start is delayed.
pub static RESTARTING: ErrorType = ErrorType {
    name: "Restarting",
    status: 503,
    message: "The service is restarting.",
    hint: "The app keeps dying and waits before its next start: read its last output and `seaworthy status` for the exit code.",
    retry_after: Some(1),
};

/// The app's process died while it had the request.
pub static UPSTREAM_CRASHED: ErrorType = ErrorType {
    name: "UpstreamCrashed",
    status: 502,
    message: "The service failed while it handled the request.",
    hint: "The app's process ended with this request in hand; it was not sent again because it may have taken effect. Look for the exit code or signal in the log line before this one.",
    retry_after: None,
};

/// The app answered with a failure that is no JSON, where those are wrapped.
pub static APP_FAILED: ErrorType = ErrorType {
    name: "AppFailed",
    status: 500,
    message: "The service failed.",
    hint: "The app answered with a status of 500 or above in a form of its own, which errors.wrap_upstream hides from clients: look for this request in the app's log.",
    retry_after: None,
};

/// The app closed the connection before its answer was complete.
pub static UPSTREAM_CLOSED: ErrorType = ErrorType {
    name: "UpstreamClosed",
    status: 502,
    message: "The service closed the connection before it answered.",
    hint: "The app is alive but dropped the connection: look for a worker timeout or an uncaught error in its log; its keep-alive time must be longer than app.idle_timeout.",
    retry_after: None,
};

/// No connection to the app could be made.
pub static UPSTREAM_UNREACHABLE: ErrorType = ErrorType {
    name: "UpstreamUnreachable",
    status: 502,
    message: "The service cannot be reached.",
    hint: "Nothing accepts connections at app.connect: check that the app listens there and that its accept queue is not full.",
    retry_after: None,
};

/// What the app sent is not HTTP, or not safe to pass on.
pub static BAD_UPSTREAM_RESPONSE: ErrorType = ErrorType {
    name: "BadUpstreamResponse",
    status: 502,
    message: "The service sent an answer that is not valid.",
    hint: "The app's answer broke HTTP's rules (framing, header syntax or size): the log line with this request id says which.",
    retry_after: None,
};

/// The app sent no byte of an answer in time.
pub static UPSTREAM_TIMEOUT: ErrorType = ErrorType {
    name: "UpstreamTimeout",
    status: 504,
    message: "The service did not answer in time.",
    hint: "The app sent nothing within limits.response_timeout: find what it waits for, or give the route a longer response_timeout.",
    retry_after: None,
};

/// The total time of the route ran out.
pub static TIMEOUT: ErrorType = ErrorType {
    name: "Timeout",
    status: 504,
    message: "The request took longer than this route allows.",
    hint: "The whole exchange exceeded the route's timeout: make the handler faster, or raise the timeout of the route.",
    retry_after: None,
};

/// The client did not send its request in time.
pub static REQUEST_TIMEOUT: ErrorType = ErrorType {
    name: "RequestTimeout",
    status: 408,
    message: "The request did not arrive in time.",
    hint: "The client stopped sending within limits.header_timeout or limits.body_idle: raise the limit if clients are slow and honest.",
    retry_after: None,
};

/// The body is larger than allowed.
pub static PAYLOAD_TOO_LARGE: ErrorType = ErrorType {
    name: "PayloadTooLarge",
    status: 413,
    message: "The request body is too large.",
    hint: "The body exceeds limits.max_body or the route's max_body: raise it, or let clients send less at once.",
    retry_after: None,
};

/// The request target is longer than allowed.
pub static URI_TOO_LONG: ErrorType = ErrorType {
    name: "UriTooLong",
    status: 414,
    message: "The request address is too long.",
    hint: "The request line exceeds limits.max_uri: move parameters into the body, or raise the limit.",
    retry_after: None,
};

/// The head has too many or too large fields.
pub static HEADERS_TOO_LARGE: ErrorType = ErrorType {
    name: "HeadersTooLarge",
    status: 431,
    message: "The request headers are too large.",
    hint: "The head exceeds limits.max_header_bytes or limits.max_headers: oversized cookies are the usual cause.",
    retry_after: None,
};

/// The request breaks HTTP's rules.
pub static MALFORMED_REQUEST: ErrorType = ErrorType {
    name: "MalformedRequest",
    status: 400,
    message: "The request is not valid HTTP.",
    hint: "Nothing of this request reached the app: its framing or syntax could be read in more than one way. The log line says what was wrong.",
    retry_after: None,
};

/// A transfer coding other than chunked.
pub static UNSUPPORTED_TRANSFER_CODING: ErrorType = ErrorType {
    name: "UnsupportedTransferCoding",
    status: 501,
    message: "The transfer coding of the request is not supported.",
    hint: "Only `Transfer-Encoding: chunked` is understood: compress with Content-Encoding instead.",
    retry_after: None,
};

/// A version of HTTP that is not spoken here.
pub static UNSUPPORTED_VERSION: ErrorType = ErrorType {
    name: "UnsupportedVersion",
    status: 505,
    message: "The HTTP version of the request is not supported.",
    hint: "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here: check what sits in front, and listen.http2.",
    retry_after: None,
};

/// An `Expect` other than `100-continue`.
pub static EXPECTATION_FAILED: ErrorType = ErrorType {
    name: "ExpectationFailed",
    status: 417,
    message: "The expectation of the request cannot be met.",
    hint: "Only `Expect: 100-continue` is understood: remove the header from the client.",
    retry_after: None,
};

/// Nothing is mounted at this path of a listener of ours.
pub static NOT_FOUND: ErrorType = ErrorType {
    name: "NotFound",
    status: 404,
    message: "There is nothing at this path.",
    hint: "No view is mounted here for this caller: compare the path with `endpoints`, its `listen` and its `allow`.",
    retry_after: None,
};

/// The path exists, the method does not.
pub static METHOD_NOT_ALLOWED: ErrorType = ErrorType {
    name: "MethodNotAllowed",
    status: 405,
    message: "The method is not allowed at this path.",
    hint: "Use the method in the Allow header; reads are GET and HEAD, changes are POST.",
    retry_after: None,
};

/// No valid credentials came with the request.
pub static UNAUTHORIZED: ErrorType = ErrorType {
    name: "Unauthorized",
    status: 401,
    message: "Credentials are required.",
    hint: "Of the service: send a valid API key or token as `auth` in the configuration asks for; the details say what is wrong with the one that came. Of the admin API: the command line finds its token in state_dir/instance.json.",
    retry_after: None,
};

/// The caller is known and may not do this.
pub static FORBIDDEN: ErrorType = ErrorType {
    name: "Forbidden",
    status: 403,
    message: "This is not allowed.",
    hint: "The caller's address, credentials or policy do not permit it: check the `allow` of the endpoint, the origin of the request and what auth.policy decides.",
    retry_after: None,
};

/// Who asks, or whether he may, cannot be found out at the moment.
pub static AUTH_UNAVAILABLE: ErrorType = ErrorType {
    name: "AuthUnavailable",
    status: 503,
    message: "Access cannot be decided at the moment.",
    hint: "The keys of auth.jwt.jwks are too old to be believed, or the service of auth.policy did not answer: check that they can be reached; auth.jwt.max_stale and auth.policy.fail say how long and whether to do without.",
    retry_after: Some(5),
};

/// The body of a request does not follow the rules of its route.
pub static VALIDATION_FAILED: ErrorType = ErrorType {
    name: "ValidationError",
    status: 422,
    message: "The request is not valid.",
    hint: "The details name the field, its index and its value; the rules stand under `validate` of the route. With `mode: observe` they are only counted.",
    retry_after: None,
};

/// A body that has to be checked has an encoding that nobody here reads.
pub static UNSUPPORTED_MEDIA: ErrorType = ErrorType {
    name: "UnsupportedMedia",
    status: 415,
    message: "The encoding or the type of the body is not supported.",
    hint: "The route checks its bodies: JSON, plain, is read; compressed bodies and other types are not. Leave the encoding out, or take `validate` off the route.",
    retry_after: None,
};

/// The address of the client is shut out for a while.
pub static IP_BLOCKED: ErrorType = ErrorType {
    name: "IpBlocked",
    status: 429,
    message: "Too many requests have come from this address; it is blocked for a while.",
    hint: "The section `bans` says how many requests are fine: `seaworthy ctl bans` lists who is blocked, `seaworthy ctl unban` lets somebody in again.",
    retry_after: None,
};

/// The caller has drawn too much attention, and the rules say that this is refused.
pub static ABUSE_DETECTED: ErrorType = ErrorType {
    name: "AbuseDetected",
    status: 429,
    message: "Unusual activity was noticed; requests are refused for a while.",
    hint: "The section `abuse` flags callers by what they cause and blocks them with `block: true`: `seaworthy ctl abuse` lists the flags and why, `seaworthy ctl abuse clear` takes one back.",
    retry_after: None,
};

/// A limit on how often somebody may ask is used up.
pub static RATE_LIMIT_EXCEEDED: ErrorType = ErrorType {
    name: "RateLimitExceeded",
    status: 429,
    message: "Too many requests; the limit is used up for now.",
    hint: "details.scopes names the limits of the section `limits` that refused, and details.retry_after_ms says when the next request passes: `seaworthy ctl limits` shows how they stand; raise one, give the caller another tier, or try `action: observe` first.",
    retry_after: None,
};

/// The limiter's store cannot be asked, and the limit says that nobody passes then.
pub static RATE_LIMITER_UNAVAILABLE: ErrorType = ErrorType {
    name: "RateLimiterUnavailable",
    status: 503,
    message: "The service cannot count requests at the moment and takes none that must be counted.",
    hint: "The Redis of the section `redis` cannot be reached and the limit says `on_store_error: deny`: look at its health, or write `local` to count a share of the limit in this process meanwhile.",
    retry_after: Some(1),
};

/// A bound of the whole service is reached.
pub static OVERLOADED: ErrorType = ErrorType {
    name: "Overloaded",
    status: 503,
    message: "The service is overloaded.",
    hint: "A limit of the whole service is reached, such as limits.max_connections: add instances, or raise it if the machine is idle.",
    retry_after: Some(1),
};

/// The breaker in front of the app, or of a service that it calls, is open.
pub static CIRCUIT_OPEN: ErrorType = ErrorType {
    name: "CircuitOpen",
    status: 503,
    message: "The service behind this address keeps failing and is left alone for a while.",
    hint: "The breaker named in the details opened after too many failures: `seaworthy ctl breakers` shows why and until when, and `seaworthy ctl breakers NAME reset` closes it.",
    retry_after: Some(1),
};

/// A fault of Seaworthy itself.
pub static INTERNAL: ErrorType = ErrorType {
    name: "Internal",
    status: 500,
    message: "An internal error occurred.",
    hint: "This is a fault in Seaworthy, not in the app: please report it with the log line of this request id.",
    retry_after: None,
};

/// Every entry, in the order of this page.
pub static ALL: &[&ErrorType] = &[
    &SHUTTING_DOWN,
    &STARTING,
    &RESTARTING,
    &UPSTREAM_CRASHED,
    &UPSTREAM_CLOSED,
    &APP_FAILED,
    &UPSTREAM_UNREACHABLE,
    &BAD_UPSTREAM_RESPONSE,
    &UPSTREAM_TIMEOUT,
    &TIMEOUT,
    &REQUEST_TIMEOUT,
    &PAYLOAD_TOO_LARGE,
    &URI_TOO_LONG,
    &HEADERS_TOO_LARGE,
    &MALFORMED_REQUEST,
    &UNSUPPORTED_TRANSFER_CODING,
    &UNSUPPORTED_VERSION,
    &EXPECTATION_FAILED,
    &NOT_FOUND,
    &METHOD_NOT_ALLOWED,
    &UNAUTHORIZED,
    &FORBIDDEN,
    &AUTH_UNAVAILABLE,
    &VALIDATION_FAILED,
    &UNSUPPORTED_MEDIA,
    &IP_BLOCKED,
    &ABUSE_DETECTED,
    &RATE_LIMIT_EXCEEDED,
    &RATE_LIMITER_UNAVAILABLE,
    &OVERLOADED,
    &CIRCUIT_OPEN,
    &INTERNAL,
];

/// Finds an entry by its name; the case of letters does not matter, because people type it.
pub fn find(name: &str) -> Option<&'static ErrorType> {
    ALL.iter()
        .find(|entry| entry.name.eq_ignore_ascii_case(name))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_complete_and_unique() {
        for (at, entry) in ALL.iter().enumerate() {
            assert!(
                (400..=599).contains(&entry.status),
                "{}: status",
                entry.name
            );
            assert!(entry.message.ends_with('.'), "{}: message", entry.name);
            assert!(entry.hint.len() > 40, "{}: hint", entry.name);
            assert!(
                entry.name.bytes().all(|b| b.is_ascii_alphanumeric()),
                "{}: name",
                entry.name
            );
            assert!(
                ALL[..at].iter().all(|other| other.name != entry.name),
                "{}: twice",
                entry.name
            );
        }
    }

    #[test]
    fn only_unavailability_invites_a_retry() {
        for entry in ALL {
            assert_eq!(
                entry.retry_after.is_some(),
                entry.status == 503,
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn finds_by_name_in_any_case() {
        assert_eq!(find("shuttingdown"), Some(&SHUTTING_DOWN));
        assert_eq!(find("Internal"), Some(&INTERNAL));
        assert_eq!(find("Nonsense"), None);
    }
}
