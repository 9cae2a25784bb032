//! What answers say about limits: `X-RateLimit-*`, as many services have it, and `RateLimit` with `RateLimit-Policy`, as the
//! IETF's draft has it.
//!
//! With several limits the `X-` fields tell of the one that is nearest to its end, and the others list all. What the app says
//! of limits of its own is never replaced by something that sounds more generous.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use seaworthy_core::quota::Standing;

use super::policy::Policy;
use super::worded::{RATE_LIMIT, RATE_LIMIT_POLICY, REMAINING, RESET, seconds};
use crate::overlay::{Rule, Sink, Value};

/// What `X-RateLimit-Reset` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reset {
    /// Seconds since 1970.
    #[default]
    Epoch,
    /// Seconds from now.
    Delta,
}

/// Which fields answers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    pub x: bool,
    /// `RateLimit` and `RateLimit-Policy`.
    pub ietf: bool,
    /// What `X-RateLimit-Reset` counts.
    pub reset: Reset,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            x: true,
            ietf: true,
            reset: Reset::Epoch,
        }
    }
}

/// One limit that a request has met.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) policy: Arc<Policy>,
    pub(super) standing: Standing,
}

impl Fields {
    /// Adds the fields to the head of an answer, of which `told` is what the app says is left of a limit of its own.
    pub(super) fn write(&self, marks: &[Mark], told: Option<u64>, sink: &mut impl Sink) {
        let nearest = marks.iter().min_by_key(|mark| mark.standing.remaining);
        let Some(nearest) = nearest else {
            return;
        };
        if self.x && told.is_none_or(|told| told > nearest.standing.remaining) {
            self.write_x(nearest, sink);
        }
        if self.ietf {
            list(marks, sink);
        }
    }

    fn write_x(&self, mark: &Mark, sink: &mut impl Sink) {
        let Some(worded) = &mark.policy.worded else {
            return;
        };
        let remaining = mark.standing.remaining;
        if mark.standing.full_in == Duration::MAX {
            sink.fill(&worded.spent.x, &[remaining]);
            sink.remove(&RESET);
            return;
        }
        let reset = match self.reset {
            Reset::Delta => seconds(mark.standing.full_in),
            Reset::Epoch => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                seconds(
                    now.unwrap_or_default()
                        .saturating_add(mark.standing.full_in),
                )
            }
        };
        sink.fill(&worded.refilled.x, &[remaining, reset]);
    }
}

/// What the app says is left of a limit of its own.
pub(super) fn told(headers: &HeaderMap) -> Option<u64> {
    // Nearly no app has one, and the lengths of its names say so sooner than a look-up.
    let length = REMAINING.as_str().len();
    if headers.keys().all(|name| name.as_str().len() != length) {
        return None;
    }
    headers.get(REMAINING)?.to_str().ok()?.trim().parse().ok()
}

fn list(marks: &[Mark], sink: &mut impl Sink) {
    let worded = marks
        .iter()
        .filter_map(|mark| Some((mark.standing, mark.policy.worded.as_ref()?)));
    if let ([_], Some((standing, worded))) = (marks, worded.clone().next()) {
        let left = standing.remaining;
        match standing.full_in {
            Duration::MAX => sink.fill(&worded.spent.ietf, &[left]),
            time => sink.fill(&worded.refilled.ietf, &[left, seconds(time)]),
        }
        return;
    }
    let (mut limits, mut policies) = (Vec::with_capacity(64 * marks.len()), Vec::new());
    let mut digits = itoa::Buffer::new();
    for (standing, worded) in worded {
        if !limits.is_empty() {
            limits.extend_from_slice(b", ");
            policies.extend_from_slice(b", ");
        }
        policies.extend_from_slice(worded.policy.as_bytes());
        limits.extend_from_slice(worded.name.as_bytes());
        limits.extend_from_slice(b";r=");
        limits.extend_from_slice(digits.format(standing.remaining).as_bytes());
        if standing.full_in != Duration::MAX {
            limits.extend_from_slice(b";t=");
            limits.extend_from_slice(digits.format(seconds(standing.full_in)).as_bytes());
        }
    }
    if !limits.is_empty() {
        sink.put(Rule::Beside, &RATE_LIMIT_POLICY, Value::Text(&policies));
        sink.put(Rule::Beside, &RATE_LIMIT, Value::Text(&limits));
    }
}
