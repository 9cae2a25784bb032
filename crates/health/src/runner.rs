//! The task of one check: when it runs, and what becomes of the result.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::check::run_safely;
use crate::clock;
use crate::registry::{Change, Inner};
use crate::spec::Policy;
use crate::{Check, Component, Outcome};

/// How often a check that is not running is looked at, so that a result that grows old is noticed.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the check `id` until it is removed.
pub(crate) async fn run(health: Weak<Inner>, id: u64, delay: Duration, rouse: Arc<Notify>) {
    let mut due = clock::now() + delay;
    let mut was_disabled = false;
    loop {
        let wake = due.min(clock::now() + LOOK);
        tokio::select! {
            () = tokio::time::sleep_until(wake.into()) => {}
            () = rouse.notified() => {}
        }
        let Some(inner) = health.upgrade() else {
            return;
        };
        let now = clock::now();
        let Some(turn) = turn(&inner, id, now) else {
            return;
        };
        if turn.disabled {
            due = now + LOOK;
        } else if now >= due || was_disabled || !turn.waiting.is_empty() {
            let (outcome, took) = look(&inner, turn.check.as_ref(), turn.policy).await;
            let ended = clock::now();
            let wait = inner.change(id, |entry| {
                entry.take(outcome, took, ended);
                entry.wait()
            });
            let Some(wait) = wait else {
                return;
            };
            due = now + jitter(wait);
        }
        was_disabled = turn.disabled;
        let shown = inner.change(id, |entry| entry.shown().clone());
        for answer in turn.waiting {
            if let Some(shown) = &shown {
                answer.send(shown.clone()).ok();
            }
        }
    }
}

/// What is to be done now.
struct Turn {
    disabled: bool,
    /// Whoever has asked up to now shares the next run.
    waiting: Vec<oneshot::Sender<Arc<Component>>>,
    check: Arc<dyn Check>,
    policy: Policy,
}

fn turn(inner: &Inner, id: u64, now: Instant) -> Option<Turn> {
    let (expired, shown, turn) = inner.change(id, |entry| {
        let expired = entry.expiry().is_some_and(|expiry| expiry <= now) && entry.expire(now);
        entry.show(now);
        let turn = Turn {
            disabled: entry.is_disabled(),
            waiting: entry.take_waiting(),
            check: entry.check.clone(),
            policy: entry.policy(),
        };
        (expired, entry.shown().clone(), turn)
    })?;
    if expired {
        inner.tell(&Change::Expired { now: shown });
    }
    Some(turn)
}

/// One run, in its time, whatever it does.
async fn look(inner: &Inner, check: &dyn Check, policy: Policy) -> (Outcome, Duration) {
    // The semaphore is never closed; without a place the run goes on all the same.
    let place = inner.places.acquire().await;
    let start = clock::now();
    let outcome = tokio::time::timeout(policy.timeout, run_safely(check)).await;
    drop(place);
    let outcome = outcome.unwrap_or_else(|_| {
        let seconds = policy.timeout.as_secs_f64();
        Outcome::timed_out(format!("timed out after {seconds}s"))
    });
    (outcome, clock::now() - start)
}

/// Up to a tenth less, so that replicas that started together do not ask together for ever.
fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(1.0 - fastrand::f64() / 10.0)
}
