//! What answers say about limits: `X-RateLimit-*`, as many services have it, and `RateLimit` with `RateLimit-Policy`, as the
//! IETF's draft has it.
//!
//! With several limits the `X-` fields tell of the one that is nearest to its end, and the others list all. What the app says
//! of limits of its own is never replaced by something that sounds more generous.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use seaworthy_core::quota::Standing;

use super::policy::Policy;
use super::worded::seconds;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

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
    /// Adds the fields to the head of an answer.
    pub(super) fn write(&self, marks: &[Mark], headers: &mut HeaderMap) {
        let nearest = marks.iter().min_by_key(|mark| mark.standing.remaining);
        let Some(nearest) = nearest else {
            return;
        };
        if self.x {
            self.write_x(nearest, headers);
        }
        if self.ietf {
            list(marks, headers);
        }
    }

    fn write_x(&self, mark: &Mark, headers: &mut HeaderMap) {
        let Some(worded) = &mark.policy.worded else {
            return;
        };
        let remaining = mark.standing.remaining;
        if told(headers).is_some_and(|told| told <= remaining) {
            return;
        }
        headers.insert(LIMIT, worded.limit.clone());
        headers.insert(REMAINING, number(remaining));
        if mark.standing.full_in == Duration::MAX {
            headers.remove(RESET);
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
        headers.insert(RESET, number(reset));
    }
}

/// What the app says is left of a limit of its own.
fn told(headers: &HeaderMap) -> Option<u64> {
    headers.get(REMAINING)?.to_str().ok()?.trim().parse().ok()
}

fn list(marks: &[Mark], headers: &mut HeaderMap) {
    let mut text = String::with_capacity(32 * marks.len());
    let worded = marks
        .iter()
        .filter_map(|mark| Some((mark, mark.policy.worded.as_ref()?)));
    for (mark, worded) in worded.clone() {
        if !text.is_empty() {
            text.push_str(", ");
        }
        _ = write!(text, "{};r={}", worded.name, mark.standing.remaining);
        if mark.standing.full_in != Duration::MAX {
            _ = write!(text, ";t={}", seconds(mark.standing.full_in));
        }
    }
    let policies = match marks {
        [mark] => mark
            .policy
            .worded
            .as_ref()
            .map(|worded| worded.policy.clone()),
        _ => {
            let each = worded.filter_map(|(_, worded)| worded.policy.to_str().ok());
            HeaderValue::try_from(each.collect::<Vec<_>>().join(", ")).ok()
        }
    };
    for (name, value) in [
        (RATE_LIMIT_POLICY, policies),
        (RATE_LIMIT, HeaderValue::try_from(text).ok()),
    ] {
        if let Some(value) = value {
            headers.append(name, value);
        }
    }
}

const KEPT: usize = 64;

/// A number as a value. Those of late are kept: most answers of one second say the same.
fn number(number: u64) -> HeaderValue {
    thread_local! {
        static RECENT: RefCell<Vec<Option<(u64, HeaderValue)>>> = RefCell::new(vec![None; KEPT]);
    }
    let place = usize::try_from(number % KEPT as u64).unwrap_or(0);
    RECENT.with_borrow_mut(|recent| match &recent[place] {
        Some((kept, value)) if *kept == number => value.clone(),
        _ => {
            let value = HeaderValue::from(number);
            recent[place] = Some((number, value.clone()));
            value
        }
    })
}
