//! How much is too much.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::Outcome;

/// The limits of a number that should be small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// More than this is degraded. Default `1000`.
    #[serde(default = "warn")]
    pub warn: u64,
    /// More than this is a failure. Default `10000`.
    #[serde(default = "fail")]
    pub fail: u64,
}

fn warn() -> u64 {
    1000
}

fn fail() -> u64 {
    10_000
}

impl Limits {
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
