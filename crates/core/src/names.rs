//! Every name that others rely on: metrics, their labels, and events.
//!
//! Dashboards, alerts and other people's scripts are built on these words, so they stand in one place, where a change is
//! seen. Names from the systems that Seaworthy reproduces are kept as they are; everything of the product's own begins
//! with `seaworthy_`. The values of labels come from bounded sets: never a raw path, an id or an address.

pub use crate::measure::{Kind, LIFECYCLE_SECONDS, Metric, REQUEST_SECONDS};

/// The methods that have a label value of their own; all others are [`OTHER_METHOD`].
pub const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
];

/// The label value of methods outside [`METHODS`].
pub const OTHER_METHOD: &str = "OTHER";

/// The metrics.
pub mod metric {
    use super::{Kind, LIFECYCLE_SECONDS, Metric, REQUEST_SECONDS};

    /// Finished requests.
    pub static HTTP_REQUESTS: Metric = Metric {
        name: "http_requests_total",
        help: "Finished HTTP requests.",
        kind: Kind::Counter,
        labels: &["method", "endpoint", "status"],
    };
    /// How long requests took.
    pub static HTTP_REQUEST_DURATION: Metric = Metric {
        name: "http_request_duration_seconds",
        help: "Time from the first byte of a request to the last byte of its answer.",
        kind: Kind::Histogram(REQUEST_SECONDS),
        labels: &["method", "endpoint"],
    };
    /// Requests under way.
    pub static HTTP_IN_PROGRESS: Metric = Metric {
        name: "http_requests_in_progress",
        help: "HTTP requests that have begun and not ended.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// Exchanges that ended before their end.
    pub static REQUESTS_CUT: Metric = Metric {
        name: "seaworthy_requests_cut_total",
        help: "Exchanges that ended before their end: the client left, the app died or a limit was hit.",
        kind: Kind::Counter,
        labels: &[],
    };
    /// Access lines that were not written.
    pub static ACCESS_LINES_DROPPED: Metric = Metric {
        name: "seaworthy_access_lines_dropped_total",
        help: "Access log lines dropped because the log could not be written fast enough.",
        kind: Kind::Counter,
        labels: &[],
    };
    /// Answers of our own, by catalogue name.
    pub static ERRORS: Metric = Metric {
        name: "seaworthy_errors_total",
        help: "Errors that Seaworthy answered by itself.",
        kind: Kind::Counter,
        labels: &["type"],
    };
    /// Series that a family had no room for.
    pub static SERIES_DROPPED: Metric = Metric {
        name: "seaworthy_metrics_series_dropped_total",
        help: "Metric series that are not shown because their family is full.",
        kind: Kind::Counter,
        labels: &[],
    };
    /// Restarts of the app.
    pub static CHILD_RESTARTS: Metric = Metric {
        name: "seaworthy_child_restarts_total",
        help: "Times the app was started again after it ended.",
        kind: Kind::Counter,
        labels: &[],
    };
    /// What each check says.
    pub static COMPONENT_UP: Metric = Metric {
        name: "seaworthy_component_up",
        help: "What the check of a component says: 1 healthy, 0.5 degraded, 0 unhealthy.",
        kind: Kind::Gauge,
        labels: &["component"],
    };
    /// How long the last look at each component took.
    pub static COMPONENT_CHECK_SECONDS: Metric = Metric {
        name: "seaworthy_component_check_seconds",
        help: "How long the last check of a component took.",
        kind: Kind::Gauge,
        labels: &["component"],
    };
    /// When workers were last heard of.
    pub static WORKER_HEARTBEAT: Metric = Metric {
        name: "worker_last_heartbeat_timestamp",
        help: "When a worker was last heard of, in seconds since 1970.",
        kind: Kind::Gauge,
        labels: &["worker"],
    };
    /// Requests that limits were asked about.
    pub static RATE_LIMITER_REQUESTS: Metric = Metric {
        name: "rate_limiter_requests_total",
        help: "Requests that a rate limit was asked about.",
        kind: Kind::Counter,
        labels: &["tier"],
    };
    /// Requests beyond limits.
    pub static RATE_LIMITER_DENIALS: Metric = Metric {
        name: "rate_limiter_denials_total",
        help: "Requests beyond a rate limit: refused, only observed, delayed, or beyond a candidate.",
        kind: Kind::Counter,
        labels: &["tier", "mode"],
    };
    /// Buckets that are kept.
    pub static RATE_LIMITER_BUCKETS: Metric = Metric {
        name: "rate_limiter_buckets_active",
        help: "Clients that a rate limit keeps a bucket for in this process.",
        kind: Kind::Gauge,
        labels: &["tier"],
    };
    /// Whether limits are counted here alone.
    pub static RATE_LIMITER_FALLBACK: Metric = Metric {
        name: "rate_limiter_fallback_active",
        help: "1 while rate limits are counted by this instance alone because their store cannot be asked.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// Who is shut out.
    pub static BANS_ACTIVE: Metric = Metric {
        name: "seaworthy_bans_active",
        help: "Addresses and networks that are blocked.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// Requests of those who are shut out.
    pub static BANS_REFUSED: Metric = Metric {
        name: "seaworthy_bans_refused_total",
        help: "Requests refused because their sender is blocked.",
        kind: Kind::Counter,
        labels: &[],
    };
    /// Requests that no room was left to count.
    pub static BANS_UNCOUNTED: Metric = Metric {
        name: "seaworthy_bans_uncounted_total",
        help: "Requests let through uncounted because the table of addresses was full.",
        kind: Kind::Counter,
        labels: &[],
    };
    /// What drew attention.
    pub static ABUSE_EVENTS: Metric = Metric {
        name: "seaworthy_abuse_events_total",
        help: "Events that count towards a flag.",
        kind: Kind::Counter,
        labels: &["event"],
    };
    /// Who drew too much of it.
    pub static ABUSE_FLAGS: Metric = Metric {
        name: "seaworthy_abuse_flags",
        help: "Callers that are flagged.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// How many requests may be inside.
    pub static CONCURRENCY_LIMIT: Metric = Metric {
        name: "seaworthy_concurrency_limit",
        help: "Requests that may be inside the app at a time.",
        kind: Kind::Gauge,
        labels: &["pool"],
    };
    /// How many are.
    pub static CONCURRENCY_INSIDE: Metric = Metric {
        name: "seaworthy_concurrency_inside",
        help: "Requests that have a place inside the app.",
        kind: Kind::Gauge,
        labels: &["pool"],
    };
    /// How many wait.
    pub static CONCURRENCY_WAITING: Metric = Metric {
        name: "seaworthy_concurrency_waiting",
        help: "Requests that wait for a place.",
        kind: Kind::Gauge,
        labels: &["pool"],
    };
    /// How many were turned away.
    pub static CONCURRENCY_REFUSED: Metric = Metric {
        name: "seaworthy_concurrency_refused_total",
        help: "Requests refused for want of a place.",
        kind: Kind::Counter,
        labels: &["pool"],
    };
    /// Copies of the app that are ready.
    pub static CHILDREN_READY: Metric = Metric {
        name: "seaworthy_children_ready",
        help: "Instances of the app that accept requests.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// The phase of the process.
    pub static LIFECYCLE_STATE: Metric = Metric {
        name: "seaworthy_lifecycle_state",
        help: "1 for the phase the process is in, 0 for the others.",
        kind: Kind::Gauge,
        labels: &["state"],
    };
    /// What each breaker does.
    pub static BREAKER_STATE: Metric = Metric {
        name: "circuit_breaker_state",
        help: "What a circuit breaker does: 0 lets every call through, 1 lets probes through, 2 refuses.",
        kind: Kind::Gauge,
        labels: &["name"],
    };
    /// Calls that failed.
    pub static BREAKER_FAILURES: Metric = Metric {
        name: "circuit_breaker_failures_total",
        help: "Calls behind a circuit breaker that failed.",
        kind: Kind::Counter,
        labels: &["name"],
    };
    /// Calls that a breaker refused.
    pub static BREAKER_REJECTIONS: Metric = Metric {
        name: "circuit_breaker_rejections_total",
        help: "Calls that an open circuit breaker refused.",
        kind: Kind::Counter,
        labels: &["name"],
    };
    /// Requests that were sent again.
    pub static RETRIES: Metric = Metric {
        name: "retries_total",
        help: "Times that a request was sent again.",
        kind: Kind::Counter,
        labels: &["upstream"],
    };
    /// What became of requests that were sent again.
    pub static RETRY_OUTCOMES: Metric = Metric {
        name: "seaworthy_retry_outcomes_total",
        help: "Requests that were sent again, by what they came to: recovered or failed.",
        kind: Kind::Counter,
        labels: &["upstream", "outcome"],
    };
    /// Repetitions that the budget did not allow.
    pub static RETRY_BUDGET_EXHAUSTED: Metric = Metric {
        name: "seaworthy_retry_budget_exhausted_total",
        help: "Requests that were not sent again because too many were already.",
        kind: Kind::Counter,
        labels: &["upstream"],
    };
    /// Outbound calls.
    pub static EGRESS_REQUESTS: Metric = Metric {
        name: "seaworthy_egress_requests_total",
        help: "Outbound calls that were answered, by whomever.",
        kind: Kind::Counter,
        labels: &["egress", "status"],
    };
    /// How long outbound calls took.
    pub static EGRESS_SECONDS: Metric = Metric {
        name: "seaworthy_egress_request_duration_seconds",
        help: "Time from an outbound call to the head of its answer.",
        kind: Kind::Histogram(REQUEST_SECONDS),
        labels: &["egress"],
    };
    /// Fallbacks that were used.
    pub static FALLBACKS: Metric = Metric {
        name: "seaworthy_fallbacks_total",
        help: "Times that a fallback was used, by its cause.",
        kind: Kind::Counter,
        labels: &["fallback", "cause"],
    };
    /// Who this is.
    pub static BUILD_INFO: Metric = Metric {
        name: "seaworthy_build_info",
        help: "Always 1; the labels say which build this is.",
        kind: Kind::Gauge,
        labels: &["version"],
    };
    /// Time from exec to ready.
    pub static STARTUP_SECONDS: Metric = Metric {
        name: "service_startup_seconds",
        help: "Time from the start of the process until it was ready.",
        kind: Kind::Histogram(LIFECYCLE_SECONDS),
        labels: &[],
    };
    /// Time from the signal to the end.
    pub static SHUTDOWN_SECONDS: Metric = Metric {
        name: "service_shutdown_seconds",
        help: "Time from the request to stop until everything was drained.",
        kind: Kind::Histogram(LIFECYCLE_SECONDS),
        labels: &[],
    };
    /// Connections from clients.
    pub static CONNECTIONS_OPEN: Metric = Metric {
        name: "seaworthy_connections_open",
        help: "Client connections that are open.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// Requests that wait for the app.
    pub static REQUESTS_PARKED: Metric = Metric {
        name: "seaworthy_requests_parked",
        help: "Requests that wait for the app to become ready.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// Memory of this process.
    pub static PROCESS_MEMORY: Metric = Metric {
        name: "process_resident_memory_bytes",
        help: "Resident memory of Seaworthy itself, without the app.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// Open files of this process.
    pub static PROCESS_FDS: Metric = Metric {
        name: "process_open_fds",
        help: "Open file descriptors of Seaworthy itself.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// CPU time of this process.
    pub static PROCESS_CPU: Metric = Metric {
        name: "process_cpu_seconds_total",
        help: "User and system time of Seaworthy itself.",
        kind: Kind::Counter,
        labels: &[],
    };
    /// When this process began.
    pub static PROCESS_START: Metric = Metric {
        name: "process_start_time_seconds",
        help: "Start of the process in seconds since 1970.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// What the policy step decided.
    pub static POLICY_DECISIONS: Metric = Metric {
        name: "policy_decisions_total",
        help: "Decisions of the policy step: allow, deny, or error when there was none.",
        kind: Kind::Counter,
        labels: &["decision"],
    };
    /// How long the policy step took.
    pub static POLICY_LATENCY: Metric = Metric {
        name: "policy_decision_latency_seconds",
        help: "How long decisions of the policy step took.",
        kind: Kind::Histogram(REQUEST_SECONDS),
        labels: &[],
    };
    /// Who asked, by what vouched for him.
    pub static AUTHENTICATIONS: Metric = Metric {
        name: "seaworthy_authentications_total",
        help: "Requests by what came of looking at their credentials.",
        kind: Kind::Counter,
        labels: &["outcome"],
    };
    /// Bodies that broke a rule.
    pub static VALIDATION_FAILURES: Metric = Metric {
        name: "validation_failures_total",
        help: "Request bodies that broke a rule, refused or only observed.",
        kind: Kind::Counter,
        labels: &["mode"],
    };

    /// Questions for secrets that are known.
    pub static SECRET_REFRESHES: Metric = Metric {
        name: "seaworthy_secret_refreshes_total",
        help: "Times a secret was asked for again: it was the same, it had changed, or it could not be had.",
        kind: Kind::Counter,
        labels: &["secret", "result"],
    };
    /// Whether secrets are old.
    pub static SECRET_STALE: Metric = Metric {
        name: "seaworthy_secret_stale",
        help: "Whether a secret cannot be had any more, so that an old value is used.",
        kind: Kind::Gauge,
        labels: &["secret"],
    };
    /// What became of wishes to take a configuration in.
    pub static CONFIG_APPLY: Metric = Metric {
        name: "config_update_apply_total",
        help: "Configurations that were to be taken in, by what became of them.",
        kind: Kind::Counter,
        labels: &["result"],
    };
    /// Which configuration holds.
    pub static CONFIG_GENERATION: Metric = Metric {
        name: "seaworthy_config_generation",
        help: "The configuration that holds, counted from the start of the process.",
        kind: Kind::Gauge,
        labels: &[],
    };
    /// How long a worker served nobody because it took a configuration in.
    pub static CONFIG_WORKER_PAUSE: Metric = Metric {
        name: "seaworthy_config_worker_pause_seconds",
        help: "How long a worker served nobody because it took a configuration in.",
        kind: Kind::Histogram(&[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05]),
        labels: &[],
    };

    /// Every metric.
    pub static ALL: &[&Metric] = &[
        &HTTP_REQUESTS,
        &HTTP_REQUEST_DURATION,
        &HTTP_IN_PROGRESS,
        &REQUESTS_CUT,
        &ACCESS_LINES_DROPPED,
        &ERRORS,
        &SERIES_DROPPED,
        &CHILD_RESTARTS,
        &COMPONENT_UP,
        &COMPONENT_CHECK_SECONDS,
        &WORKER_HEARTBEAT,
        &RATE_LIMITER_REQUESTS,
        &RATE_LIMITER_DENIALS,
        &RATE_LIMITER_BUCKETS,
        &RATE_LIMITER_FALLBACK,
        &BANS_ACTIVE,
        &BANS_REFUSED,
        &BANS_UNCOUNTED,
        &ABUSE_EVENTS,
        &ABUSE_FLAGS,
        &CONCURRENCY_LIMIT,
        &CONCURRENCY_INSIDE,
        &CONCURRENCY_WAITING,
        &CONCURRENCY_REFUSED,
        &CHILDREN_READY,
        &LIFECYCLE_STATE,
        &BREAKER_STATE,
        &BREAKER_FAILURES,
        &BREAKER_REJECTIONS,
        &RETRIES,
        &RETRY_OUTCOMES,
        &RETRY_BUDGET_EXHAUSTED,
        &EGRESS_REQUESTS,
        &EGRESS_SECONDS,
        &FALLBACKS,
        &SECRET_REFRESHES,
        &SECRET_STALE,
        &BUILD_INFO,
        &STARTUP_SECONDS,
        &SHUTDOWN_SECONDS,
        &CONNECTIONS_OPEN,
        &REQUESTS_PARKED,
        &PROCESS_MEMORY,
        &PROCESS_FDS,
        &PROCESS_CPU,
        &PROCESS_START,
        &POLICY_DECISIONS,
        &POLICY_LATENCY,
        &AUTHENTICATIONS,
        &VALIDATION_FAILURES,
        &CONFIG_APPLY,
        &CONFIG_GENERATION,
        &CONFIG_WORKER_PAUSE,
    ];
}

/// The values of the field `event` in log lines: `subject.what_happened`.
pub mod event {
    /// One finished request; the only event without a dot, because it is nine lines out of ten.
    pub const REQUEST: &str = "request";
    /// A line without an event of its own.
    pub const LOG: &str = "log";
    /// Seaworthy itself has come a step further on its way to serving.
    pub const STARTUP_PHASE: &str = "startup.phase";
    /// Probes are told from now on that the service is ready.
    pub const SERVICE_READY: &str = "service.ready";
    /// Probes are told from now on that the service is not ready, although nobody asked it to stop.
    pub const SERVICE_NOT_READY: &str = "service.not_ready";
    /// A request to stop has arrived.
    pub const SHUTDOWN_SIGNAL: &str = "shutdown.signal";
    /// The service is marked as not ready and still serves.
    pub const SHUTDOWN_MARKED: &str = "shutdown.marked";
    /// No request is in flight any more, or the time for them is over.
    pub const SHUTDOWN_DRAINED: &str = "shutdown.drained";
    /// A hook has ended.
    pub const SHUTDOWN_HOOK: &str = "shutdown.hook";
    /// The app has been stopped.
    pub const SHUTDOWN_APP: &str = "shutdown.app";
    /// The summary of a shutdown.
    pub const SHUTDOWN_COMPLETE: &str = "shutdown.complete";
    /// Background tasks were told to stop.
    pub const TASKS_CANCELLED: &str = "shutdown.tasks_cancelled";
    /// An instance of the app was started.
    pub const APP_STARTED: &str = "app.started";
    /// An instance of the app takes long to listen.
    pub const APP_STARTING: &str = "app.starting";
    /// An instance of the app accepts requests.
    pub const APP_READY: &str = "app.ready";
    /// An instance of the app has ended.
    pub const APP_EXITED: &str = "app.exited";
    /// An instance of the app will be started again.
    pub const APP_RESTARTING: &str = "app.restarting";
    /// An instance of the app could not be started.
    pub const APP_NOT_STARTED: &str = "app.not_started";
    /// The app listens, but not where it is expected to.
    pub const APP_LISTENS_ELSEWHERE: &str = "app.listens_elsewhere";
    /// The app has not begun to listen in time.
    pub const APP_NEVER_LISTENED: &str = "app.never_listened";
    /// The process of an instance was stopped without having ended (SIGSTOP).
    pub const APP_SUSPENDED: &str = "app.suspended";
    /// An instance gets nowhere with its requests: who is to blame, what shows it, and what is done.
    pub const APP_STALLED: &str = "app.stalled";
    /// A stalled instance answers again.
    pub const APP_RECOVERED: &str = "app.recovered";
    /// A component is shown with another word than before.
    pub const CHECK_CHANGED: &str = "check.changed";
    /// Somebody set what a check shows, or that has ended.
    pub const CHECK_OPERATED: &str = "check.operated";
    /// An address is shut out from now on.
    pub const BAN_SET: &str = "ban.set";
    /// An address may come in again before its time.
    pub const BAN_LIFTED: &str = "ban.lifted";
    /// Bans of other instances cannot be heard of, or can be again.
    pub const BAN_SHARING: &str = "ban.sharing";
    /// The bans could not be kept or read.
    pub const BAN_FILE: &str = "ban.file";
    /// Somebody has drawn attention.
    pub const ABUSE_FLAGGED: &str = "abuse.flagged";
    /// A flag was taken back.
    pub const ABUSE_CLEARED: &str = "abuse.cleared";
    /// So little memory is left that what matters less is refused, or no longer.
    pub const MEMORY_PRESSURE: &str = "memory.pressure";
    /// Rate limits are counted by this instance alone, because the store that replicas share cannot be asked.
    pub const LIMITS_FELL_BACK: &str = "limits.fell_back";
    /// Rate limits are shared again.
    pub const LIMITS_RECOVERED: &str = "limits.recovered";
    /// Somebody filled a bucket by hand.
    pub const LIMITS_RESET: &str = "limits.reset";
    /// A feature runs on its fallback from now on.
    pub const FEATURE_DEGRADED: &str = "feature.degraded";
    /// A feature is as it should be again.
    pub const FEATURE_RECOVERED: &str = "feature.recovered";
    /// Nobody could be told what became of a feature.
    pub const FEATURE_WEBHOOK: &str = "feature.webhook_failed";
    /// A listener for the app's own calls is open.
    pub const EGRESS_OPENED: &str = "egress.opened";
    /// A fallback was used. A few of them each second are told.
    pub const FALLBACK_USED: &str = "fallback.used";
    /// A breaker has opened: why, what shows it, and what comes next.
    pub const BREAKER_OPENED: &str = "breaker.opened";
    /// A breaker lets probes through.
    pub const BREAKER_HALF_OPEN: &str = "breaker.half_open";
    /// A breaker has closed.
    pub const BREAKER_CLOSED: &str = "breaker.closed";
    /// A suspended instance goes on.
    pub const APP_RESUMED: &str = "app.resumed";
    /// The app died too often.
    pub const APP_GAVE_UP: &str = "app.gave_up";
    /// A word or a variable of the app's command was changed.
    pub const APP_COMMAND_CHANGED: &str = "app.command_changed";
    /// The app's command names an address that is ours.
    pub const APP_ADDRESS_TAKEN: &str = "app.address_taken";
    /// The public listener is open.
    pub const LISTENER_OPENED: &str = "listener.opened";
    /// The public listener is closed, and what connected before has been dealt with.
    pub const LISTENER_CLOSED: &str = "listener.closed";
    /// Certificates were read again.
    pub const TLS_RELOADED: &str = "tls.reloaded";
    /// Certificates could not be read again; the old ones stay.
    pub const TLS_RELOAD_FAILED: &str = "tls.reload_failed";
    /// A secret has another value now, which is used from now on.
    pub const SECRET_ROTATED: &str = "secret.rotated";
    /// A secret cannot be had any more; the old value stays.
    pub const SECRET_STALE: &str = "secret.stale";
    /// A secret can be had again.
    pub const SECRET_RECOVERED: &str = "secret.recovered";
    /// Other documents of the application's own hold.
    pub const DOCUMENTS_CHANGED: &str = "documents.changed";
    /// Documents hold, and the folder in which the app finds them is not as it should be.
    pub const DOCUMENTS_FAILED: &str = "documents.failed";
    /// The app could not be told of its documents.
    pub const DOCUMENTS_NOTIFY: &str = "documents.notify_failed";
    /// Something in the configuration deserves a look.
    pub const CONFIG_WARNING: &str = "config.warning";
    /// A configuration holds that was loaded while the service runs.
    pub const CONFIG_RELOADED: &str = "config.reloaded";
    /// A configuration was refused; the one before still holds.
    pub const CONFIG_REJECTED: &str = "config.rejected";
    /// The service did worse under a configuration, and the one before holds again.
    pub const CONFIG_ROLLED_BACK: &str = "config.rolled_back";
    /// The log of a registry cannot be reached; what it said last holds.
    pub const REGISTRY_AWAY: &str = "registry.away";
    /// The log of a registry is reached again.
    pub const REGISTRY_BACK: &str = "registry.back";
    /// A log that configurations come from holds something that cannot be read, and it was left out.
    pub const REGISTRY_SKIPPED: &str = "registry.skipped";
    /// The app exposes a metric under a name of ours.
    pub const METRIC_COLLISION: &str = "metric_collision";
    /// A request or an answer broke HTTP's rules; `from` says which of the two. A few of them each second are told.
    pub const HTTP_REJECTED: &str = "http.rejected";
    /// The app could not be reached, did not answer in time or broke off. A few of them each second are told.
    pub const UPSTREAM_FAILED: &str = "upstream.failed";
    /// The keys of an issuer were read, for the first time or with other keys than before.
    pub const KEYS_READ: &str = "auth.keys_read";
    /// The keys of an issuer could not be read; the old ones stay until they are too old.
    pub const KEYS_FAILED: &str = "auth.keys_failed";
    /// The service that decides about requests failed. A few of them each second are told.
    pub const POLICY_FAILED: &str = "auth.policy_failed";
    /// The document that bodies are checked against was read, or could not be.
    pub const SCHEMA_READ: &str = "validate.schema_read";
    /// A request was refused as intended, such as one that came during the drain; told at the level `debug`.
    pub const REQUEST_REFUSED: &str = "request.refused";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_metric_name(name: &str) -> bool {
        name.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }

    #[test]
    fn metrics_follow_the_naming_rules() {
        for (at, metric) in metric::ALL.iter().enumerate() {
            let name = metric.name;
            assert!(is_metric_name(name), "{name}");
            assert!(
                metric.labels.iter().all(|label| is_metric_name(label)),
                "{name}"
            );
            assert!(metric.help.ends_with('.'), "{name}: help");
            assert_eq!(
                matches!(metric.kind, Kind::Counter),
                name.ends_with("_total"),
                "{name}"
            );
            assert!(
                [
                    "seaworthy_",
                    "http_",
                    "service_",
                    "process_",
                    "worker_",
                    "circuit_breaker_",
                    "retries_",
                    "rate_limiter_",
                    "policy_",
                    "validation_",
                    "config_",
                ]
                .iter()
                .any(|p| name.starts_with(p)),
                "{name}: prefix"
            );
            assert!(
                metric::ALL[..at].iter().all(|other| other.name != name),
                "{name}: twice"
            );
        }
    }

    #[test]
    fn buckets_ascend() {
        for buckets in [REQUEST_SECONDS, LIFECYCLE_SECONDS] {
            assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
