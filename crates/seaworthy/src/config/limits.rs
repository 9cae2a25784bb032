//! The section `limits`: how long things may take and how large they may be.

use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::quantity::{Bound, Duration, Size};
use serde::{Deserialize, Serialize};

/// How long things may take and how large they may be. `none` switches a limit off where it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long a client may take to send the head of a request. Default `10s`.
    pub header_timeout: Duration,
    /// How long a client may pause while it sends a body, or `none`. Default `60s`.
    pub body_idle: Bound<Duration>,
    /// How long the app may take to the first byte of its answer, or `none`. Default `60s`.
    pub response_timeout: Bound<Duration>,
    /// How long an idle connection is kept open. Default `75s`.
    pub idle: Duration,
    /// How long a request may take in all, or `none`. Default `none`.
    pub total: Bound<Duration>,
    /// How long an answer may pause while it is sent, event streams included, or `none`. Default `1h`.
    pub stream_idle: Bound<Duration>,
    /// How long a WebSocket may be silent, or `none`. Default `1h`.
    pub websocket_idle: Bound<Duration>,
    /// The largest head of a request. Default `64KiB`.
    pub max_header_bytes: Size,
    /// The most header fields of a request. Default 100.
    #[schemars(range(min = 1, max = 1000))]
    pub max_headers: u16,
    /// The longest target of a request. Default `16KiB`.
    pub max_uri: Size,
    /// The largest body of a request, or `none`. Default `none`.
    pub max_body: Bound<Size>,
    /// The most connections open at a time. Those beyond are told 503 and closed, and probes among them are answered; with TLS
    /// they are closed at once. Default 10000.
    #[schemars(range(min = 1))]
    pub max_connections: u32,
    /// A file of API keys, in short for `auth.api_keys.file`. Default: none.
    pub keys_file: Option<PathBuf>,
    /// The header that those keys come in. Default `X-API-Key`.
    pub keys_header: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_idle: Bound::At(Duration::from_secs(60)),
            response_timeout: Bound::At(Duration::from_secs(60)),
            idle: Duration::from_secs(75),
            total: Bound::None,
            stream_idle: Bound::At(Duration::from_secs(3_600)),
            websocket_idle: Bound::At(Duration::from_secs(3_600)),
            max_header_bytes: Size::kib(64),
            max_headers: 100,
            max_uri: Size::kib(16),
            max_body: Bound::None,
            max_connections: 10_000,
            keys_file: None,
            keys_header: None,
        }
    }
}

pub(super) fn validate(limits: &Limits, findings: &mut Findings) {
    let bounded = |bound: Bound<Duration>| bound.get().unwrap_or(Duration::from_secs(1));
    for (key, time) in [
        ("header_timeout", limits.header_timeout),
        ("idle", limits.idle),
        ("body_idle", bounded(limits.body_idle)),
        ("response_timeout", bounded(limits.response_timeout)),
        ("total", bounded(limits.total)),
        ("stream_idle", bounded(limits.stream_idle)),
        ("websocket_idle", bounded(limits.websocket_idle)),
    ] {
        if time.is_zero() {
            let help = if matches!(key, "header_timeout" | "idle") {
                "write a time such as `10s`"
            } else {
                "write `none` for no limit"
            };
            findings
                .error(
                    format!("limits.{key}"),
                    "no time at all would refuse every request",
                )
                .help(help);
        }
    }
    for (key, size) in [
        ("max_header_bytes", limits.max_header_bytes),
        ("max_uri", limits.max_uri),
    ] {
        if !(256..=16 << 20).contains(&size.get()) {
            findings.error(
                format!("limits.{key}"),
                format!("{size} is not between 256 bytes and 16MiB"),
            );
        }
    }
    if limits.max_uri > limits.max_header_bytes {
        findings
            .error(
                "limits.max_uri",
                format!(
                    "a target of {} does not fit into a head of {}",
                    limits.max_uri, limits.max_header_bytes
                ),
            )
            .related("limits.max_header_bytes")
            .help("raise `limits.max_header_bytes` or lower `limits.max_uri`");
    }
    if let (Some(total), Some(response)) = (limits.total.get(), limits.response_timeout.get())
        && total < response
    {
        findings
            .error("limits.total", format!("a request may take {total} in all, but {response} to the first byte of its answer"))
            .related("limits.response_timeout")
            .help(format!("raise `limits.total` to at least {response}, or lower `limits.response_timeout`"));
    }
}
