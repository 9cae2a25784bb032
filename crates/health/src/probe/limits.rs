//! How much is too much, and how little is too little.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, judge_key};
use crate::Outcome;

/// The limits of a number that should be small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ceiling {
    /// More than this is degraded. Default `1000`.
    pub warn: u64,
    /// More than this is a failure. Default `10000`.
    pub fail: u64,
}

impl Default for Ceiling {
    fn default() -> Self {
        Self {
            warn: 1000,
            fail: 10_000,
        }
    }
}

impl Ceiling {
    /// Finds what is wrong with them.
    pub(super) fn faults(self, faults: &mut Vec<Fault>) {
        if self.warn > self.fail {
            let message = format!("`warn` is {} and `fail` only {}", self.warn, self.fail);
            faults.push(Fault::new("warn", message, "let `warn` be the smaller one"));
        }
    }

    /// Judges `count`, of which `message` speaks.
    pub(super) fn judge(self, count: u64, message: String) -> Outcome {
        let beyond = |limit: u64| format!("{message}, the limit is {limit}");
        if count > self.fail {
            Outcome::unhealthy(beyond(self.fail))
        } else if count > self.warn {
            Outcome::degraded(beyond(self.warn))
        } else {
            Outcome::healthy(message)
        }
    }
}

/// The limits of a number that should be large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Floor {
    /// Fewer than this is degraded. Default `1`.
    pub warn_below: u64,
    /// Fewer than this is a failure. Default `0`, which never happens.
    pub fail_below: u64,
    /// The name of the number in the metadata. Default `recent_log_count`.
    #[serde(rename = "as")]
    pub key: String,
}

impl Default for Floor {
    fn default() -> Self {
        Self {
            warn_below: 1,
            fail_below: 0,
            key: "recent_log_count".to_owned(),
        }
    }
}

impl Floor {
    /// Finds what is wrong with them.
    pub(super) fn faults(&self, faults: &mut Vec<Fault>) {
        let Self {
            warn_below,
            fail_below,
            key,
        } = self;
        if fail_below > warn_below {
            let message =
                format!("`fail_below` is {fail_below} and `warn_below` only {warn_below}");
            let help = "let `fail_below` be the smaller one";
            faults.push(Fault::new("fail_below", message, help));
        }
        judge_key("as", key, faults);
    }

    /// Judges `count`, of which `message` speaks.
    pub(super) fn judge(&self, count: u64, message: String) -> Outcome {
        let short = |limit: u64| format!("{message}, at least {limit} are expected");
        let outcome = if count < self.fail_below {
            Outcome::unhealthy(short(self.fail_below))
        } else if count < self.warn_below {
            Outcome::degraded(short(self.warn_below))
        } else {
            Outcome::healthy(message)
        };
        outcome.with(&self.key, count)
    }
}
