//! What of a limit is the same in every answer, worded once.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderValue;
use seaworthy_core::quota::{Quota, Refill};

/// What of a policy is the same in every answer.
#[derive(Debug)]
pub(super) struct Worded {
    pub(super) limit: HeaderValue,
    pub(super) policy: HeaderValue,
    /// The name in quotation marks.
    pub(super) name: Box<str>,
}

impl Worded {
    pub(super) fn new(name: &str, quota: &Quota) -> Self {
        let name: String = name
            .chars()
            .filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
            .collect();
        let name = format!("\"{name}\"");
        let mut policy = format!("{name};q={}", quota.capacity());
        if quota.refill() != Refill::Never {
            _ = write!(policy, ";w={}", seconds(quota.full_time()));
        }
        Self {
            limit: quota.capacity().into(),
            // Visible ASCII without quotation marks, so it always is one.
            policy: policy.parse().unwrap_or(HeaderValue::from_static("")),
            name: name.into(),
        }
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}
