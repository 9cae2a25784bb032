//! What of a limit is the same in every answer, worded once.

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderName;
use seaworthy_core::quota::{Quota, Refill};

use crate::overlay::{Form, Rule};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(super) const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(super) const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What of a policy is the same in every answer.
#[derive(Debug)]
pub(super) struct Worded {
    pub(super) policy: Box<str>,
    /// The name in quotation marks.
    pub(super) name: Box<str>,
    /// The fields for what is filled up again, and for what never is.
    pub(super) refilled: Forms,
    pub(super) spent: Forms,
}

/// The fields of one limit alone, to be filled in.
#[derive(Debug)]
pub(super) struct Forms {
    /// `X-RateLimit-*`.
    pub(super) x: Form,
    /// `RateLimit-Policy` and `RateLimit`.
    pub(super) ietf: Form,
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
        let limit = quota.capacity().to_string();
        Self {
            refilled: Forms {
                x: x(&limit, true),
                ietf: ietf(&policy, &[&format!("{name};r="), ";t=", ""]),
            },
            spent: Forms {
                x: x(&limit, false),
                ietf: ietf(&policy, &[&format!("{name};r="), ""]),
            },
            policy: policy.into(),
            name: name.into(),
        }
    }
}

/// `X-RateLimit-*` of a limit, with blanks for what is left and, if it `refills`, for when it is full again.
fn x(limit: &str, refills: bool) -> Form {
    let form =
        Form::default()
            .field(Rule::Over, LIMIT, &[limit])
            .field(Rule::Over, REMAINING, &["", ""]);
    if refills {
        form.field(Rule::Over, RESET, &["", ""])
    } else {
        form
    }
}

/// `RateLimit-Policy` and `RateLimit` of one limit alone, the latter with blanks between its parts.
fn ietf(policy: &str, parts: &[&str]) -> Form {
    Form::default()
        .field(Rule::Beside, RATE_LIMIT_POLICY, &[policy])
        .field(Rule::Beside, RATE_LIMIT, parts)
}

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}
