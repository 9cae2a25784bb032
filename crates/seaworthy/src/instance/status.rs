//! What `GET /-/status` answers: written by the admin API, read by `seaworthy status`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of an instance at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The phase of its life, such as `running` or `draining`.
    pub state: String,
    /// `healthy`, `degraded` or `unhealthy`.
    pub health: String,
    /// Who is to blame: `well`, `app_broken`, `dependency_broken` or `unknown`.
    pub verdict: String,
    /// The process of Seaworthy itself.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The app behind it.
    pub app: App,
    /// Requests being answered now.
    pub inflight: u64,
    /// What Seaworthy did by itself lately, oldest first.
    #[serde(default)]
    pub events: Vec<Event>,
    /// The shutdown budget and, once stopping, how far it is; shown as it is.
    #[serde(default)]
    pub shutdown: serde_json::Value,
}

/// Something that Seaworthy did by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// When, in RFC 3339.
    pub at: String,
    /// Its public name, such as `app.restarting`.
    pub event: String,
    /// The text of the log.
    pub text: String,
}

/// The app: nothing in it when a remote one is served.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct App {
    /// Its processes.
    pub instances: Vec<AppInstance>,
}

/// One process of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppInstance {
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// How many times it was started, this one included.
    pub generation: u64,
    /// `starting`, `ready`, `suspended`, `backoff` and the like.
    pub state: String,
    /// How many times it had to be started again.
    pub restarts: u64,
}

/// Where an instance is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Phase {
    /// The word for it, such as `running` or `stopping`.
    pub state: &'static str,
}
