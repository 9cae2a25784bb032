//! The sections `errors`, `metrics` and `traces`: what others see of each request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How errors that Seaworthy itself answers look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Errors {
    /// The shape of the body. Default `envelope`.
    pub format: ErrorFormat,
    /// Which failures of the app are answered in that shape as well, under their own status: `never`, or `5xx-nonjson` for those of 500
    /// and above that are no JSON, such as the page of a framework. Default `never`.
    pub wrap_upstream: Wrap,
    /// Whether an answer about a body that is not valid repeats the value that is wrong. Secrets never are, and nothing beyond 200
    /// characters. Default `true`.
    pub echo_values: bool,
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            format: ErrorFormat::default(),
            wrap_upstream: Wrap::default(),
            echo_values: true,
        }
    }
}

/// The shape of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorFormat {
    /// `{"error": {"type", "message", "details", "request_id", "timestamp"}}`.
    #[default]
    Envelope,
    /// RFC 9457, `application/problem+json`.
    Problem,
}

/// Which failures of the app are put into our own shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Wrap {
    /// None: the app's answers are its own.
    #[default]
    #[serde(rename = "never")]
    Never,
    /// Those of 500 and above that are no JSON.
    #[serde(rename = "5xx-nonjson")]
    NotJson,
}

/// Metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Whether requests are counted and timed. Default `true`.
    #[schemars(extend("x-restart" = true))]
    pub enabled: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Distributed traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Whether W3C trace context is read, or begun, and passed on. Default `true`.
    pub context: bool,
}

impl Default for Traces {
    fn default() -> Self {
        Self { context: true }
    }
}
