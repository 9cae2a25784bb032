//! One check as it stands in the file: what all checks have, and the options of its kind.

use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use seaworthy_config::{Findings, Format, Layer, Loader, Problems, Validate};
use seaworthy_core::health::{About, Status, Steadiness, Weight, Words};
use seaworthy_core::quantity::Duration;
use seaworthy_health::probe::address::{self, Astray};
use seaworthy_health::probe::{self, Around, Fault, Probe};
use seaworthy_health::{Policy, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How often checks run that say nothing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one run to the next.
    pub interval: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// To the next run after a bad one.
    pub recheck: Duration,
}

/// One check: when it runs, what it means, and the options of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(extend("x-instead" = ["env", "url", "broker", "bootstrap", "addr"]))]
pub enum Check {
    /// Whether something accepts connections.
    Tcp(Of<probe::tcp::Tcp>),
    /// What a URL answers.
    Http(Of<probe::http::Http>),
    /// What a command ends with, or prints.
    Exec(Of<probe::exec::Exec>),
    /// What a gRPC server says by `grpc.health.v1`.
    Grpc(Of<probe::grpc::Grpc>),
    /// Whether Postgres answers a query, and has the tables that it should.
    Postgres(Of<probe::postgres::Postgres>),
    /// Whether MySQL or MariaDB answers a query.
    Mysql(Of<probe::mysql::Mysql>),
    /// Whether Redis answers.
    Redis(Of<probe::redis::Redis>),
    /// How many entries wait, in Redis, in RabbitMQ or by a query.
    Queue(Of<probe::queue::Queue>),
    /// How many rows a query counts.
    Rows(Of<probe::rows::Rows>),
    /// Whether RabbitMQ opens the virtual host, and how long a queue is.
    Rabbitmq(Of<probe::rabbitmq::RabbitMq>),
    /// Whether Kafka knows of brokers and topics, and how far a group is behind.
    Kafka(Of<probe::kafka::Kafka>),
    /// How many Celery workers answer.
    Celery(Of<probe::celery::Celery>),
    /// Whether NATS answers pings.
    Nats(Of<probe::nats::Nats>),
    /// How much room is left.
    Disk(Of<probe::disk::Disk>),
    /// How much memory is left until the kernel kills.
    Memory(Of<probe::memory::Memory>),
    /// How many recent lines a file has.
    Count(Of<probe::count::Count>),
    /// Whether a worker has been heard of.
    Heartbeat(Of<probe::heartbeat::Heartbeat>),
    /// Whether the app's own processes run, and what they use.
    Process(Of<probe::process::Process>),
    /// Whether requests of a route succeed.
    Traffic(Of<probe::traffic::Traffic>),
    /// Whether a feature is on its fallback.
    Feature(Of<probe::feature::Feature>),
    /// What another service says of its health.
    Upstream(Of<probe::upstream::Upstream>),
}

/// What all checks have, and what this kind has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Of<P> {
    /// What all checks have.
    #[serde(flatten)]
    pub common: Common,
    /// What this kind has.
    #[serde(flatten)]
    pub probe: P,
}

/// What all checks have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = with_required)]
pub struct Common {
    /// The name under which it is shown.
    #[serde(default)]
    pub name: String,
    /// The variable that holds its address, in place of `url` or whatever its kind calls that; `app.env` counts. While it is not
    /// set, nothing is known of the component. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Whether the service is of no use without it: a failure turns readiness to 503. Default `true`.
    #[serde(default = "yes", alias = "required")]
    #[schemars(extend("x-aliases" = ["required"]))]
    pub critical: bool,
    /// Whether all replicas share it, so that a failure degrades instead of emptying the whole fleet. Default `false`.
    #[serde(default)]
    pub shared: bool,
    /// How often it runs. Default: `health.interval`.
    #[serde(default)]
    pub interval: Option<Duration>,
    /// How long it may take. Default: `health.timeout`.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// A success that took longer is `degraded`. Default: never.
    #[serde(default)]
    pub degraded_after: Option<Duration>,
    /// How long to wait before the first run. Default: not at all.
    #[serde(default)]
    pub initial_delay: Option<Duration>,
    /// Successes in a row that it takes to be well again. Default `1`.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub rise: u32,
    /// Failures in a row that it takes to be down. Default `2`.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 1000))]
    pub fall: u32,
    /// The word for a failure; it changes nothing about readiness. Default: `unhealthy` when critical, else `degraded`.
    #[serde(default)]
    pub on_error: Option<Status>,
    /// The word for no answer in time. Default: that for a failure.
    #[serde(default)]
    pub on_timeout: Option<Status>,
}

/// Adds the one second name that a key has; a derived schema leaves such names out, and what it leaves out is refused.
fn with_required(schema: &mut Schema) {
    let keys = schema.get_mut("properties").and_then(Value::as_object_mut);
    if let Some(keys) = keys {
        let required = json!({"type": "boolean", "description": "Another word for `critical`."});
        keys.insert("required".to_owned(), required);
    }
}

const fn yes() -> bool {
    true
}

const fn one() -> u32 {
    1
}

const fn two() -> u32 {
    2
}

/// Does the same with whichever kind of check it is.
macro_rules! each {
    ($check:expr, $of:ident => $act:expr) => {
        match $check {
            Check::Tcp($of) => $act,
            Check::Http($of) => $act,
            Check::Exec($of) => $act,
            Check::Grpc($of) => $act,
            Check::Postgres($of) => $act,
            Check::Mysql($of) => $act,
            Check::Redis($of) => $act,
            Check::Queue($of) => $act,
            Check::Rows($of) => $act,
            Check::Rabbitmq($of) => $act,
            Check::Kafka($of) => $act,
            Check::Celery($of) => $act,
            Check::Nats($of) => $act,
            Check::Disk($of) => $act,
            Check::Memory($of) => $act,
            Check::Count($of) => $act,
            Check::Heartbeat($of) => $act,
            Check::Process($of) => $act,
            Check::Traffic($of) => $act,
            Check::Feature($of) => $act,
            Check::Upstream($of) => $act,
        }
    };
}

impl Check {
    /// What all checks have.
    #[must_use]
    pub fn common(&self) -> &Common {
        each!(self, of => &of.common)
    }

    /// The word for its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        each!(self, of => kind(&of.probe))
    }

    /// What it looks at.
    #[must_use]
    pub fn about(&self) -> About {
        each!(self, of => about(&of.probe))
    }

    /// Reads the check `name` out of JSON, as it would be read out of a file.
    ///
    /// # Errors
    /// All that the types say against it.
    pub fn read(name: &str, mut options: Map<String, Value>) -> Result<Self, Problems> {
        options.insert("name".to_owned(), name.into());
        let text = Value::from(options).to_string();
        let loader = Loader::new().text(Layer::File, name, text, Format::Json);
        loader.load().map(|loaded| loaded.value)
    }

    /// What the types cannot say about it.
    #[must_use]
    pub fn faults(&self, pace: Pace, around: &Around) -> Vec<Fault> {
        let mut faults = each!(self, of => of.faults(around));
        let common = self.common();
        if common.interval.unwrap_or(pace.interval).get() < Policy::SHORTEST_INTERVAL {
            let message = "a check runs at most every 100ms";
            faults.push(Fault::new("interval", message, "write `100ms` or more"));
        }
        if common.timeout.unwrap_or(pace.timeout).is_zero() {
            let message = "no time at all is not enough";
            faults.push(Fault::new("timeout", message, "write a time such as `2s`"));
        }
        faults
    }

    /// The route whose requests it has to be told of.
    #[must_use]
    pub fn watched(&self) -> Option<&str> {
        match self {
            Self::Traffic(of) => Some(&of.probe.route),
            _ => None,
        }
    }

    /// The variable that it waits for.
    #[must_use]
    pub fn unset(&self, around: &Around) -> Option<String> {
        match each!(self, of => of.placed(around).err()) {
            Some(Astray::Unset(variable)) => Some(variable),
            _ => None,
        }
    }

    /// The check that it describes.
    #[must_use]
    pub fn spec(&self, pace: Pace, around: &Around) -> Spec {
        let common = self.common();
        let weight = match (common.critical, common.shared) {
            (true, false) => Weight::Critical,
            (true, true) => Weight::Shared,
            (false, _) => Weight::Optional,
        };
        let policy = Policy {
            weight,
            about: self.about(),
            words: Words {
                on_error: common.on_error,
                on_timeout: common.on_timeout,
            },
            interval: common.interval.unwrap_or(pace.interval).get(),
            timeout: common.timeout.unwrap_or(pace.timeout).get(),
            recheck: pace.recheck.get(),
            steadiness: Steadiness {
                rise: common.rise,
                fall: common.fall,
            },
            initial_delay: common.initial_delay.map(Duration::get).unwrap_or_default(),
            degraded_after: common.degraded_after.map(Duration::get),
        };
        Spec {
            name: common.name.clone(),
            check: each!(self, of => of.check(around)),
            policy,
        }
    }
}

impl<P: Probe> Of<P> {
    fn placed(&self, around: &Around) -> Result<P, Astray> {
        address::placed(&self.probe, self.common.env.as_deref(), &around.variables)
    }

    fn faults(&self, around: &Around) -> Vec<Fault> {
        let mut probe = match self.placed(around) {
            Ok(probe) => probe,
            Err(Astray::Wrong(fault)) => return vec![fault],
            Err(Astray::Unset(_)) => return Vec::new(),
        };
        let mut faults = Vec::new();
        probe.faults(around, &mut faults);
        if let (Some(env), Some((option, _))) = (&self.common.env, probe.address()) {
            // What is wrong with the address is wrong with the variable.
            for fault in faults.iter_mut().filter(|fault| fault.option == option) {
                fault.option = "env";
                fault.message = format!("{env}: {}", fault.message);
            }
        }
        faults
    }

    fn check(&self, around: &Around) -> Arc<dyn seaworthy_health::Check> {
        match self.placed(around) {
            Ok(probe) => probe.check(around),
            Err(astray) => address::nowhere(P::KIND, &astray),
        }
    }
}

const fn kind<P: Probe>(_: &P) -> &'static str {
    P::KIND
}

const fn about<P: Probe>(_: &P) -> About {
    P::ABOUT
}

impl Validate for Check {
    /// Finds nothing: what else has to fit is for [`Check::faults`], which knows what is around.
    fn validate(&self, _: &mut Findings) {}
}
