//! The section `concurrency`: how many requests are inside the app at a time.

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::concurrency::{Bounds, Priority};
use seaworthy_core::quantity::Duration;
use serde::{Deserialize, Serialize};

/// How many requests are inside the app at a time; the others wait for a while, or are told 503 at once. Event streams and
/// switched protocols count until their head is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Concurrency {
    /// So many; with `adaptive` the most there may be. Default 256.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,
    /// So many wait for a place. Default 64.
    #[schemars(range(max = 1_000_000))]
    pub queue: u32,
    /// How long one waits. Default `1s`.
    pub queue_timeout: Duration,
    /// Let the limit follow the time that answers take. Default: it is fixed.
    pub adaptive: Option<Adaptive>,
    /// Refuse what matters less while memory is short. Default: not.
    pub memory: Option<Memory>,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self {
            max: 256,
            queue: 64,
            queue_timeout: Duration::from_secs(1),
            adaptive: None,
            memory: None,
        }
    }
}

impl Concurrency {
    /// Where an adaptive limit may be; `None` for a fixed one.
    pub fn bounds(&self) -> Option<Bounds> {
        self.adaptive.as_ref().map(|adaptive| Bounds {
            initial: adaptive.initial,
            least: adaptive.min,
            most: self.max,
        })
    }
}

/// A limit that follows the time that answers take: it grows while they stay as quick as they are without a crowd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Adaptive {
    /// Where it begins. Default 20.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub initial: u32,
    /// It never falls below. Default 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min: u32,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self {
            initial: 20,
            min: 1,
        }
    }
}

/// What is refused while memory is short, in percent of the limit of the control group, or of the machine. Pages of files that
/// nobody has read lately do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Beyond this, requests of low priority. Default 85.
    #[schemars(range(min = 1, max = 100))]
    pub low: u8,
    /// Beyond this, those of normal priority too. Default 92.
    #[schemars(range(min = 1, max = 100))]
    pub normal: u8,
    /// Beyond this, everything that is not critical. Default 97.
    #[schemars(range(min = 1, max = 100))]
    pub high: u8,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            low: 85,
            normal: 92,
            high: 97,
        }
    }
}

impl Memory {
    /// The lowest priority that is served while so much is in use.
    pub fn least(&self, percent: f64) -> Priority {
        match percent {
            percent if percent > f64::from(self.high) => Priority::Critical,
            percent if percent > f64::from(self.normal) => Priority::High,
            percent if percent > f64::from(self.low) => Priority::Normal,
            _ => Priority::Low,
        }
    }
}

/// Places of one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// So many requests of this route are inside at a time, within those of all.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max: u32,
    /// So many wait for a place. Default 0.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub queue: u32,
    /// How long one waits. Default `1s`.
    #[serde(default = "second")]
    pub queue_timeout: Duration,
}

fn second() -> Duration {
    Duration::from_secs(1)
}

pub(super) fn validate(concurrency: Option<&Concurrency>, findings: &mut Findings) {
    if let Some(concurrency) = concurrency {
        waits(
            "concurrency",
            concurrency.queue,
            concurrency.queue_timeout,
            findings,
        );
        if let Some(adaptive) = &concurrency.adaptive
            && (adaptive.min > concurrency.max || adaptive.initial > concurrency.max)
        {
            findings
                .error(
                    "concurrency.adaptive",
                    format!(
                        "the limit may not exceed `max`, which is {}",
                        concurrency.max
                    ),
                )
                .related("concurrency.max")
                .help("raise `max`, or lower `initial` and `min`");
        }
        if let Some(Memory { low, normal, high }) = concurrency.memory
            && (low > normal || normal > high)
        {
            findings
                .error(
                    "concurrency.memory",
                    "what matters more would be refused first",
                )
                .help("write `low`, `normal` and `high` in rising order");
        }
    }
}

/// The same for the places of a route, which stand at `path`.
pub(super) fn validate_places(path: &str, places: &Places, findings: &mut Findings) {
    waits(path, places.queue, places.queue_timeout, findings);
}

fn waits(path: &str, queue: u32, timeout: Duration, findings: &mut Findings) {
    if queue > 0 && timeout.is_zero() {
        findings
            .error(
                format!("{path}.queue_timeout"),
                "nobody can wait for no time at all",
            )
            .help("write a time such as `1s`, or `queue: 0`");
    }
}
