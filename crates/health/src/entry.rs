//! One registered check: its policy, what was found, and what is shown of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use seaworthy_core::health::{Hysteresis, State, Status};
use tokio::sync::{Notify, oneshot};

use crate::report::{Component, Operated};
use crate::spec::{Policy, Spec};
use crate::{Check, Outcome};

/// So many may wait for the next run of a check; the others are told what is shown.
const MOST_WAITING: usize = 1024;

/// A result is too old to count after this many intervals.
const STALE_INTERVALS: u32 = 3;

pub(crate) struct Entry {
    /// Tells a check from an earlier one of the same name.
    pub(crate) id: u64,
    pub(crate) check: Arc<dyn Check>,
    /// Rouses the task of the check.
    pub(crate) rouse: Arc<Notify>,
    /// Who waits for the end of the next run.
    waiting: Vec<oneshot::Sender<Arc<Component>>>,
    policy: Policy,
    /// A timeout that somebody set at runtime, and until when.
    timeout: Option<(Duration, Option<Instant>)>,
    hysteresis: Hysteresis,
    found: Component,
    operated: Option<Operated>,
    ended: Option<Instant>,
    shown: Arc<Component>,
}

impl Entry {
    pub(crate) fn new(id: u64, spec: Spec) -> Self {
        let Spec {
            name,
            check,
            policy,
        } = spec;
        let word = policy.words.status(State::Unknown, policy.weight);
        let mut found = Component::pending(&name, check.kind(), policy.weight, word);
        found.about = policy.about;
        Self {
            id,
            check,
            rouse: Arc::default(),
            waiting: Vec::new(),
            policy,
            timeout: None,
            hysteresis: Hysteresis::new(policy.steadiness),
            shown: Arc::new(found.clone()),
            found,
            operated: None,
            ended: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.found.name
    }

    pub(crate) fn shown(&self) -> &Arc<Component> {
        &self.shown
    }

    /// Waits for the end of the next run.
    pub(crate) fn wait_for_run(&mut self) -> oneshot::Receiver<Arc<Component>> {
        let (answer, asked) = oneshot::channel();
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push(answer);
            self.rouse.notify_one();
        } else {
            answer.send(self.shown.clone()).ok();
        }
        asked
    }

    /// Takes those who wait.
    pub(crate) fn take_waiting(&mut self) -> Vec<oneshot::Sender<Arc<Component>>> {
        std::mem::take(&mut self.waiting)
    }

    /// The policy as it applies now.
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = self.policy;
        policy.interval = policy.interval.max(Policy::SHORTEST_INTERVAL);
        if let Some((timeout, _)) = self.timeout {
            policy.timeout = timeout;
        }
        policy
    }

    pub(crate) fn is_disabled(&self) -> bool {
        matches!(self.operated, Some(Operated::Disabled { .. }))
    }

    /// The next moment at which something that was done at runtime ends by itself.
    pub(crate) fn expiry(&self) -> Option<Instant> {
        let operated = self.operated.and_then(Operated::until);
        let timeout = self.timeout.and_then(|(_, until)| until);
        operated.into_iter().chain(timeout).min()
    }

    pub(crate) fn operate(&mut self, operated: Option<Operated>, now: Instant) {
        self.operated = operated;
        self.show(now);
    }

    pub(crate) fn set_timeout(&mut self, timeout: Option<(Duration, Option<Instant>)>) {
        self.timeout = timeout;
    }

    /// Ends what has had its time. Returns whether anything ended.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        let operation = self.operated.is_some_and(|operated| over(operated.until()));
        let timeout = self.timeout.is_some_and(|(_, until)| over(until));
        if operation {
            self.operated = None;
        }
        if timeout {
            self.timeout = None;
        }
        self.show(now);
        operation || timeout
    }

    /// Takes in the result of a run.
    pub(crate) fn take(&mut self, outcome: Outcome, took: Duration, now: Instant) {
        let outcome = self.judge_duration(outcome, took);
        self.found.duration = Some(took);
        self.found.checked_at = Some(SystemTime::now());
        self.ended = Some(now);
        if self.hysteresis.take(outcome.state) {
            let word = outcome.word.filter(|_| outcome.state != State::Ok);
            self.found.state = outcome.state;
            self.found.status =
                word.unwrap_or_else(|| self.policy.words.status(outcome.state, self.policy.weight));
            self.found.message = outcome.message;
            self.found.metadata = outcome.metadata;
        }
        self.found.in_doubt = self.hysteresis.is_in_doubt();
        self.show(now);
    }

    fn judge_duration(&self, outcome: Outcome, took: Duration) -> Outcome {
        let ms = took.as_secs_f64() * 1e3;
        let mut outcome = outcome;
        outcome
            .metadata
            .entry("latency_ms")
            .or_insert_with(|| ((ms * 1e3).round() / 1e3).into());
        let limit = self.policy.degraded_after.filter(|limit| took > *limit);
        if let Some(limit) = limit.filter(|_| outcome.state == State::Ok) {
            outcome.state = State::Warn;
            outcome.message = format!("slow: {ms:.0} ms, the limit is {} ms", limit.as_millis());
        }
        outcome
    }

    /// When to look again, counted from the beginning of the last run.
    pub(crate) fn wait(&self) -> Duration {
        let policy = self.policy();
        if self.hysteresis.is_in_doubt() {
            policy.recheck.min(policy.interval)
        } else {
            policy.interval
        }
    }

    /// Brings what is shown up to date. Returns whether it changed.
    pub(crate) fn show(&mut self, now: Instant) -> bool {
        let mut shown = self.found.clone();
        let policy = self.policy();
        let most = policy.interval * STALE_INTERVALS + policy.timeout;
        shown.operated = self.operated;
        shown.stale = self
            .ended
            .is_some_and(|ended| now.saturating_duration_since(ended) > most);
        if let Some(Operated::Forced { status, .. }) = self.operated {
            shown.status = status;
            shown.state = match status {
                Status::Healthy => State::Ok,
                Status::Degraded => State::Warn,
                Status::Unhealthy => State::Fail,
            };
            shown.message = format!("set to {} by hand", status.word());
        } else if shown.stale {
            shown.state = State::Unknown;
            shown.status = policy.words.status(State::Unknown, policy.weight);
        }
        let changed = *self.shown != shown;
        if changed {
            self.shown = Arc::new(shown);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_core::health::Weight;

    fn entry(change: impl FnOnce(Spec) -> Spec) -> Entry {
        let spec = Spec::new("db", crate::from_fn(async || Outcome::healthy("")));
        Entry::new(1, change(spec))
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_success_is_degraded_and_passes() {
        let mut entry = entry(|spec| spec.degraded_after(100 * MS).steadiness(1, 1));
        entry.take(Outcome::healthy("fine"), 150 * MS, Instant::now());
        let shown = entry.shown();
        assert_eq!((shown.state, shown.status), (State::Warn, Status::Degraded));
        assert_eq!(shown.message, "slow: 150 ms, the limit is 100 ms");
        assert_eq!(shown.metadata["latency_ms"], 150.0);
        entry.take(Outcome::healthy("fine"), 100 * MS, Instant::now());
        assert_eq!(entry.shown().status, Status::Healthy);
    }

    #[test]
    fn what_is_too_old_is_unknown_until_there_is_something_new() {
        let mut entry = entry(|spec| spec.every(Duration::from_secs(1)).timeout(500 * MS));
        let start = Instant::now();
        entry.take(Outcome::healthy("fine"), MS, start);
        assert!(!entry.show(start + 3500 * MS));
        assert!(entry.show(start + 3501 * MS));
        assert!(entry.shown().stale);
        assert_eq!(entry.shown().state, State::Unknown);
        entry.take(Outcome::healthy("fine"), MS, start + 4000 * MS);
        assert_eq!(
            (entry.shown().state, entry.shown().stale),
            (State::Ok, false)
        );
    }

    #[test]
    fn what_was_set_by_hand_holds_until_it_ends() {
        let mut entry = entry(Spec::optional);
        let start = Instant::now();
        entry.take(Outcome::healthy("fine"), MS, start);
        let until = Some(start + Duration::from_secs(60));
        let status = Status::Unhealthy;
        entry.operate(Some(Operated::Forced { status, until }), start);
        entry.take(Outcome::healthy("fine"), MS, start);
        assert_eq!(entry.shown().status, Status::Unhealthy);
        let later = start + Duration::from_secs(59);
        assert!(!entry.expire(later));
        entry.take(Outcome::healthy("fine"), MS, later);
        assert!(entry.expire(start + Duration::from_secs(60)));
        assert_eq!(entry.shown().status, Status::Healthy);
        assert_eq!(entry.shown().weight, Weight::Optional);
    }

    #[test]
    fn doubt_shortens_the_wait() {
        let mut entry = entry(|spec| spec);
        let start = Instant::now();
        entry.take(Outcome::healthy("fine"), MS, start);
        assert_eq!(entry.wait(), Duration::from_secs(5));
        entry.take(Outcome::unhealthy("gone"), MS, start);
        assert_eq!((entry.wait(), entry.shown().state), (1500 * MS, State::Ok));
        entry.take(Outcome::unhealthy("gone"), MS, start);
        assert_eq!(entry.wait(), Duration::from_secs(5));
        assert_eq!(entry.shown().state, State::Fail);
    }
}
