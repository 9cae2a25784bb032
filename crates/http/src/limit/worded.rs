//! What of a limit is the same in every answer, worded once.

use std::fmt::Write as _;
use std::time::Duration;

use seaworthy_core::quota::{Quota, Refill};

use super::fields;
use crate::overlay::Form;

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
    /// How much is left, and until when.
    pub(super) x: Form,
    /// The same.
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
                x: fields::x(&limit, true),
                ietf: fields::ietf(&policy, &[&format!("{name};r="), ";t=", ""]),
            },
            spent: Forms {
                x: fields::x(&limit, false),
                ietf: fields::ietf(&policy, &[&format!("{name};r="), ""]),
            },
            policy: policy.into(),
            name: name.into(),
        }
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}
