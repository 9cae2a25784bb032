//! Why a request was not answered by the app.
//!
//! One small type for every layer of the stack: an entry of the error catalogue, what is particular to this case, and
//! when to come back. Only [`crate::rescue`] turns it into a response, so that no two layers word an error differently.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use seaworthy_core::catalogue::{self, ErrorType};
use serde_json::Value;

/// A request that some layer refused or could not complete.
pub struct Error {
    kind: &'static ErrorType,
    details: Vec<(&'static str, Value)>,
    /// Instead of the catalogue's.
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    message: Option<Box<str>>,
    // Boxed, because hardly any error has one and a map is a hundred bytes.
    headers: Option<Box<HeaderMap>>,
}

impl Error {
    /// An error of the catalogue, with nothing particular about it.
    pub const fn new(kind: &'static ErrorType) -> Self {
        Self {
            kind,
            details: Vec::new(),
            status: None,
            retry_after: None,
            message: None,
            headers: None,
        }
    }

    /// Has a status of its own instead of the catalogue's, such as the one that the app chose.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Says it in words of its own instead of the catalogue's; like a detail it never holds a secret.
    #[must_use]
    pub fn worded(mut self, message: impl Into<Box<str>>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Adds a fact that helps the caller; it is shown to clients, so it never holds a secret or an inner address.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.details.push((key, value.into()));
        self
    }

    /// Adds a field to the head of the answer, over one of the same name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.get_or_insert_default().insert(name, value);
        self
    }

    /// Says when the caller may come back, instead of the catalogue's own figure.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The entry of the catalogue.
    pub fn kind(&self) -> &'static ErrorType {
        self.kind
    }

    /// The status of the answer.
    pub fn status_code(&self) -> StatusCode {
        let usual = || StatusCode::from_u16(self.kind.status).ok();
        let status = self.status.or_else(usual);
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or(self.kind.message)
    }

    /// The facts added with [`Error::with`], in order.
    pub fn details(&self) -> &[(&'static str, Value)] {
        &self.details
    }

    /// The fields added with [`Error::header`].
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.headers.as_deref()
    }

    /// Whole seconds for `Retry-After`, rounded up, at least one.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self.retry_after {
            Some(after) => Some((after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)),
            None => self.kind.retry_after.map(u64::from),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind.name)
            .field("details", &self.details)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        for (key, value) in &self.details {
            match value {
                Value::String(text) => write!(f, ", {key}: {text}")?,
                other => write!(f, ", {key}: {other}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer went away.
    #[error("the connection ended in the middle of a body")]
    Truncated,
    /// Reading or writing failed.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// The framing of the body is malformed.
    #[error("malformed body framing: {0}")]
    Malformed(&'static str),
    /// The body is larger than the route allows.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Nothing moved for longer than the limit.
    #[error("nothing moved for {0:?}")]
    Idle(Duration),
    /// The shutdown deadline, or a total timeout, ended it.
    #[error("cut at a deadline")]
    Cut,
    /// HTTP/2 ended the stream.
    #[error("the HTTP/2 stream failed: {0}")]
    Http2(#[from] hyper::Error),
}

impl From<&BodyError> for Error {
    fn from(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge { limit } => {
                Self::new(&catalogue::PAYLOAD_TOO_LARGE).with("limit_bytes", *limit)
            }
            BodyError::Idle(after) => {
                Self::new(&catalogue::REQUEST_TIMEOUT).with("idle_seconds", after.as_secs())
            }
            BodyError::Malformed(what) => {
                Self::new(&catalogue::MALFORMED_REQUEST).with("reason", *what)
            }
            BodyError::Truncated | BodyError::Io(_) | BodyError::Cut | BodyError::Http2(_) => {
                Self::new(&catalogue::MALFORMED_REQUEST)
                    .with("reason", "the request body ended early")
            }
        }
    }
}
