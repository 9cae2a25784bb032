//! The section `limits`: how long things may take, how large they may be, and how often somebody may ask.

use std::collections::BTreeMap;

use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::{Findings, Secret};
use seaworthy_core::quantity::{Bound, Duration, Size};
use seaworthy_core::quota::Spec;
use serde::{Deserialize, Serialize};

use super::rates::{Action, Kind, OnStoreError, Policy, Refill, Reset, Shown, StoreKind, Users};

/// How long things may take, how large they may be, and how often somebody may ask. `none` switches a limit off where it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long a client may take to send the head of a request. Default `10s`.
    pub header_timeout: Duration,
    /// How long a client may pause while it sends a body, or `none`. Default `60s`.
    pub body_idle: Bound<Duration>,
    /// How long the app may take to the first byte of its answer, or `none`. Default `60s`.
    pub response_timeout: Bound<Duration>,
    /// How long one try may take to the first byte of its answer, or `none`: a request that is sent again has several.
    /// Default `none`; with a breaker or a fallback anywhere, a little less than `response_timeout`.
    pub attempt_timeout: Bound<Duration>,
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
    #[schemars(extend("x-restart" = true))]
    pub max_connections: u32,
    /// How often clients of each tier may ask: `anonymous: 100/min`. A client without a tier is `anonymous`, and is known by its
    /// principal or else by its address. Default: nobody is limited.
    pub tiers: BTreeMap<String, Spec>,
    /// How often each user may ask, beside the tiers. Default: not limited.
    pub users: Option<Users>,
    /// Further limits. Layers merge by `name`.
    #[schemars(extend("x-merge" = "name"))]
    pub policies: Vec<Policy>,
    /// What may name a client, in the order of preference; the address is what is left. Default `[api_key, jwt, header]`.
    #[schemars(extend("x-local" = true))]
    pub identify: Vec<Kind>,
    /// What happens to a request beyond a limit. Default `reject`.
    pub action: Action,
    /// How long a request may wait for its turn where the action is `delay`. Default `5s`.
    pub max_delay: Duration,
    /// How buckets fill: `continuous`, or all at once each `interval`. Default `continuous`.
    pub refill: Refill,
    /// Limits that are tried out: counted beside those of the same name, and never enforced. Default: none.
    pub candidate: BTreeMap<String, Spec>,
    /// Where buckets live: in the `memory` of each instance, or in the `redis` that they share. Default `memory`.
    #[schemars(extend("x-restart" = true))]
    pub store: StoreKind,
    /// How many instances share the limits: while Redis is away, each gives its share. Default 1, which gives the whole limit.
    #[schemars(range(min = 1, max = 10_000))]
    #[schemars(extend("x-restart" = true))]
    pub replicas: u32,
    /// Whether busy clients' tokens are taken from Redis by the slice and spent here: far fewer questions, for an excess of at most
    /// a tenth of the limit. Default `false`.
    #[schemars(extend("x-restart" = true))]
    pub lease: bool,
    /// What holds while Redis is away. Default `local`.
    pub on_store_error: OnStoreError,
    /// What keys in Redis begin with. Default `rate_limit`.
    #[schemars(extend("x-restart" = true))]
    pub key_prefix: String,
    /// A secret that is mixed into the names of clients in Redis, so that addresses cannot be found by trying all. Default: none.
    #[schemars(extend("x-restart" = true))]
    pub key_pepper: Option<Secret>,
    /// Clients of each limit that are counted apart at a time; further ones share one bucket. Default 100000.
    #[schemars(range(min = 16, max = 10_000_000))]
    pub max_keys: usize,
    /// Which fields tell clients how they stand. Default `both`.
    pub headers: Shown,
    /// What `X-RateLimit-Reset` counts. Default `epoch`.
    pub reset: Reset,
    /// A file of API keys, in short for `auth.api_keys.file`. Default: none.
    #[schemars(extend("x-local" = true))]
    pub keys_file: Option<PathBuf>,
    /// The header that those keys come in. Default `X-API-Key`.
    #[schemars(extend("x-local" = true))]
    pub keys_header: Option<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_idle: Bound::At(Duration::from_secs(60)),
            response_timeout: Bound::At(Duration::from_secs(60)),
            attempt_timeout: Bound::None,
            idle: Duration::from_secs(75),
            total: Bound::None,
            stream_idle: Bound::At(Duration::from_secs(3_600)),
            websocket_idle: Bound::At(Duration::from_secs(3_600)),
            max_header_bytes: Size::kib(64),
            max_headers: 100,
            max_uri: Size::kib(16),
            max_body: Bound::None,
            max_connections: 10_000,
            tiers: BTreeMap::new(),
            users: None,
            policies: Vec::new(),
            identify: vec![Kind::ApiKey, Kind::Jwt, Kind::Header],
            action: Action::Reject,
            max_delay: Duration::from_secs(5),
            refill: Refill::Continuous,
            candidate: BTreeMap::new(),
            store: StoreKind::Memory,
            replicas: 1,
            lease: false,
            on_store_error: OnStoreError::Local,
            key_prefix: "rate_limit".to_owned(),
            key_pepper: None,
            max_keys: 100_000,
            headers: Shown::Both,
            reset: Reset::Epoch,
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
        ("attempt_timeout", bounded(limits.attempt_timeout)),
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
    total(limits, findings);
    let whole = [limits.total, limits.response_timeout];
    attempt(
        "limits.attempt_timeout",
        limits.attempt_timeout,
        ("limits.response_timeout", whole),
        findings,
    );
}

/// A try that may take longer than the whole request, which has the limits `whole`, is never cut short, and nobody means that.
pub(super) fn attempt(
    path: &str,
    attempt: Bound<Duration>,
    (related, whole): (&str, [Bound<Duration>; 2]),
    findings: &mut Findings,
) {
    let whole = whole.into_iter().filter_map(Bound::get).min();
    if let (Some(attempt), Some(whole)) = (attempt.get(), whole)
        && whole < attempt
    {
        findings
            .error(
                path,
                format!("one try may take {attempt}, but the whole request only {whole}"),
            )
            .related(related)
            .help(format!("write at most `{whole}`"));
    }
}

fn total(limits: &Limits, findings: &mut Findings) {
    if let (Some(total), Some(response)) = (limits.total.get(), limits.response_timeout.get())
        && total < response
    {
        findings
            .error("limits.total", format!("a request may take {total} in all, but {response} to the first byte of its answer"))
            .related("limits.response_timeout")
            .help(format!("raise `limits.total` to at least {response}, or lower `limits.response_timeout`"));
    }
}
