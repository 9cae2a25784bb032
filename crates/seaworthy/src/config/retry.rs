//! The section `retry`, and the same key of a route: requests that are sent again.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use seaworthy_config::Findings;
use seaworthy_core::quantity::{Duration, Share, Size};
use seaworthy_core::retry::{Eligible, Jitter, Schedule};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How requests are sent again that failed in a way that passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How often a request is sent again at most. Default 3; 0 switches it off.
    #[schemars(range(max = 100))]
    pub max: u32,
    /// The first wait. Default `100ms`.
    pub base: Duration,
    /// Each wait is so many times the one before. Default 2.
    #[schemars(range(min = 1, max = 100))]
    pub factor: u32,
    /// No wait is longer. Default `2s`.
    pub max_delay: Duration,
    /// How waits are spread: `full` lies anywhere between one step and the next, `none` is exactly the step. Default `full`.
    pub jitter: Jitter,
    /// The waits one by one, instead of `base`, `factor`, `max_delay` and `jitter`. Default: none.
    pub delays: Vec<Duration>,
    /// What passes: `connect` (no connection to the app could be made) and statuses. Default `[connect, 502, 503, 504]`.
    pub on: Vec<On>,
    /// Methods that may be sent again. Default `[GET, HEAD, PUT, DELETE]`.
    pub methods: Vec<String>,
    /// Whether the other methods may be as well: they have to do no harm twice. Default `false`.
    pub unsafe_methods: bool,
    /// Whether the other methods may be if the request has an `Idempotency-Key`. Default `true`.
    pub idempotency_key: bool,
    /// Which share of all requests may be such repetitions, everybody's together. Default `20%`.
    pub budget: Share,
    /// So many may be in each second even where that is more than the share. Default 1.
    #[schemars(range(max = 1_000_000))]
    pub budget_floor: u32,
    /// Larger bodies are not kept for another try. Default `64KiB`.
    pub keep_body: Size,
}

/// What is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// No connection could be made.
    Connect,
    /// An answer with this status.
    Status(u16),
}

impl Serialize for On {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Connect => serializer.serialize_str("connect"),
            Self::Status(status) => serializer.serialize_u16(*status),
        }
    }
}

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = On;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`connect` or a status such as 503")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<On, E> {
                match u16::try_from(number) {
                    Ok(status @ 400..=599) => Ok(On::Status(status)),
                    _ => Err(E::custom("a status that fails lies between 400 and 599")),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<On, E> {
                match text.parse() {
                    Ok(number) => self.visit_u64(number),
                    Err(_) if text == "connect" => Ok(On::Connect),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for On {
    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "const": "connect", "description": "No connection could be made." },
                { "type": "integer", "minimum": 400, "maximum": 599, "description": "A status." },
            ],
        })
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max: 3,
            base: Duration::from_millis(100),
            factor: 2,
            max_delay: Duration::from_secs(2),
            jitter: Jitter::Full,
            delays: Vec::new(),
            on: vec![
                On::Connect,
                On::Status(502),
                On::Status(503),
                On::Status(504),
            ],
            methods: ["GET", "HEAD", "PUT", "DELETE"].map(str::to_owned).into(),
            unsafe_methods: false,
            idempotency_key: true,
            budget: Share::percent(20),
            budget_floor: 1,
            keep_body: Size::kib(64),
        }
    }
}

impl Retry {
    /// The waits.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            most: self.max,
            base: self.base.get(),
            factor: f64::from(self.factor),
            max_delay: self.max_delay.get(),
            jitter: self.jitter,
            delays: self.delays.iter().map(|delay| delay.get()).collect(),
        }
    }

    /// Which requests may be sent again.
    pub fn eligible(&self) -> Eligible {
        Eligible {
            methods: self
                .methods
                .iter()
                .map(|method| method.as_str().into())
                .collect(),
            unsafe_methods: self.unsafe_methods,
            idempotency_key: self.idempotency_key,
        }
    }

    /// The statuses that are worth another try.
    pub fn statuses(&self) -> Vec<u16> {
        let status = |on: &On| match on {
            On::Status(status) => Some(*status),
            On::Connect => None,
        };
        self.on.iter().filter_map(status).collect()
    }
}

pub(super) fn validate(path: &str, retry: &Retry, findings: &mut Findings) {
    super::text::methods(&format!("{path}.methods"), &retry.methods, findings);
    if retry.keep_body.get() > 16 << 20 {
        findings
            .error(
                format!("{path}.keep_body"),
                "so much would be held in memory for every request",
            )
            .help("write at most `16MiB`");
    }
    if retry.max_delay < retry.base && retry.delays.is_empty() {
        findings
            .error(
                format!("{path}.max_delay"),
                "it is shorter than the first wait",
            )
            .related(format!("{path}.base"))
            .help(format!("write at least `{}`", retry.base));
    }
}
