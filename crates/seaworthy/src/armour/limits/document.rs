//! The limits as documents.

use schemars::JsonSchema;
use seaworthy_http::limit::{Action, Chosen, Policy, Tally};
use serde::Serialize;

use super::{Calls, Limiting, is_alone};

impl Limiting {
    /// All limits as they stand, and after them those of `calls`.
    pub fn document(&self, calls: &Calls) -> LimitsDocument {
        let calls = calls.all();
        let all = self.all().chain(&calls);
        LimitsDocument {
            store: match &self.store {
                Some(Chosen::Redis(_)) => "redis",
                Some(Chosen::Memory(_)) | None => "memory",
            },
            fallback_active: is_alone(self.store.as_ref()),
            limits: all.map(|policy| LimitDocument::of(policy)).collect(),
        }
    }
}

/// All limits.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LimitsDocument {
    /// Where their buckets live: `memory` or `redis`.
    pub store: &'static str,
    /// Whether they are counted by this instance alone because Redis cannot be asked.
    pub fallback_active: bool,
    /// They.
    pub limits: Vec<LimitDocument>,
}

/// One limit.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LimitDocument {
    /// The tier, `user`, `route`, the name of the policy, or `egress.` with the name of a way out.
    pub name: String,
    /// How many requests a full bucket holds; nothing without a limit.
    pub capacity: Option<u64>,
    /// How many come back in a second; nothing without a limit.
    pub refill_per_sec: Option<f64>,
    /// What happens beyond it: `reject`, `observe` or `delay`.
    pub action: &'static str,
    /// Clients with a bucket in this process.
    pub buckets: usize,
    /// Requests that it was asked about.
    pub requests: u64,
    /// Requests that it refused.
    pub rejected: u64,
    /// Requests beyond it that passed because it only observes.
    pub observed: u64,
    /// Requests that waited.
    pub delayed: u64,
    /// What is tried out beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<CandidateDocument>,
}

/// A limit that is tried out.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CandidateDocument {
    /// How many requests a full bucket holds.
    pub capacity: u64,
    /// Requests that it would have refused.
    pub denials: u64,
}

impl LimitDocument {
    fn of(policy: &Policy) -> Self {
        let tally: &Tally = policy.tally();
        Self {
            name: policy.name().to_owned(),
            capacity: policy.quota().map(|quota| quota.capacity()),
            refill_per_sec: policy.quota().map(|quota| quota.per_second()),
            action: match policy.config().action {
                Action::Reject => "reject",
                Action::Observe => "observe",
                Action::Delay(_) => "delay",
            },
            buckets: policy.active(),
            requests: tally.requests(),
            rejected: tally.rejected(),
            observed: tally.observed(),
            delayed: tally.delayed(),
            candidate: policy.candidate().map(|tried| CandidateDocument {
                capacity: tried.buckets.quota().capacity(),
                denials: tally.candidate(),
            }),
        }
    }
}

/// What was filled by hand.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ResetDocument {
    /// The caller, as far as it is shown.
    pub caller: String,
    /// The limits by which this process had a bucket of his that may have been less than full.
    pub filled: Vec<String>,
}
