//! Walking through the phases.

use std::time::Duration;

use seaworthy_core::budget::{Budget, Ramp};
use seaworthy_core::event::{Event, Level};
use seaworthy_core::lifecycle::Phase;
use seaworthy_core::names::event as name;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{AppEnd, Steps, Summary};
use crate::hooks::{Context, Done, Hook};
use crate::journal::Journal;
use crate::patience::Hurry;
use crate::reap::Reaper;

/// How often the requests under way are counted.
const COUNT: Duration = Duration::from_millis(5);
/// How long the last words to cut requests may take; it comes from the reserve.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How to stop.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The time of each phase.
    pub budget: Budget,
    /// The hooks in the order they were given.
    pub hooks: Vec<Hook>,
    /// The last part of the propagation, during which a growing part of requests is refused.
    pub ramp: Duration,
    /// The exit code for failing hooks.
    pub fail_exit: u8,
    /// What asked for the stop, such as `SIGTERM`.
    pub by: String,
    /// When a preStop hook marked the service, if one did; the time since then counts as propagation, and as a part of the
    /// grace period.
    pub prestopped: Option<Instant>,
}

/// Shuts a service down and says what it came to.
pub async fn run(
    plan: &Plan,
    steps: &mut impl Steps,
    hurry: &Hurry,
    reaper: &Reaper,
    journal: &Journal,
) -> Summary {
    let now = Instant::now();
    // The platform's patience began with the preStop hook; one that was called long ago had nothing to do with this stop.
    let credit = plan
        .prestopped
        .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
        .min(plan.budget.propagation);
    let mut walk = Walk {
        plan,
        hurry,
        reaper,
        journal,
        began: now.checked_sub(credit).unwrap_or(now),
        forced: false,
    };
    let before = steps.in_flight();
    walk.signal(before);
    walk.propagate(steps).await;
    let aborted = walk.drain(steps).await;
    let hooks = walk.hooks(steps).await;
    let app_killed = walk.stop_app(steps).await;
    walk.flush(steps).await;
    let summary = Summary {
        duration: now.elapsed(),
        inflight_completed: before.saturating_sub(aborted),
        aborted,
        app_killed,
        forced: walk.forced || app_killed || hooks.iter().any(|hook| hook.timed_out),
        hooks,
        fail_exit: plan.fail_exit,
    };
    steps.enter(Phase::Stopped);
    walk.complete(&summary);
    summary
}

struct Walk<'a> {
    plan: &'a Plan,
    hurry: &'a Hurry,
    reaper: &'a Reaper,
    journal: &'a Journal,
    /// When the grace period began.
    began: Instant,
    /// Whether a step did not come back in time.
    forced: bool,
}

impl Walk<'_> {
    /// When all phases must be over, so that the reserve is left.
    fn phases_end(&self) -> Instant {
        self.began + (self.plan.budget.grace - self.plan.budget.reserve)
    }

    /// When everything must be over.
    fn end(&self) -> Instant {
        self.began + self.plan.budget.grace
    }

    /// Waits for a step that should come back at once, and leaves it behind if it does not.
    async fn step<T>(
        &mut self,
        what: &str,
        until: Instant,
        step: impl Future<Output = T>,
    ) -> Option<T> {
        let result = timeout_at(until, step).await.ok();
        if result.is_none() {
            self.forced = true;
            tracing::warn!("the shutdown goes on although this is not done: {what}");
        }
        result
    }

    fn signal(&self, in_flight: u64) {
        let by = self.plan.by.as_str();
        tracing::info!(
            event = name::SHUTDOWN_SIGNAL,
            by,
            in_flight,
            "Shutting down gracefully..."
        );
        let event = Event::new(name::SHUTDOWN_SIGNAL, format!("{by} asked for a stop"))
            .with_evidence(format!("{in_flight} requests are under way"))
            .with_next(self.plan.budget.to_string());
        self.journal.keep(event);
    }

    async fn propagate(&mut self, steps: &mut impl Steps) {
        let end = self.began + self.plan.budget.propagation;
        let length = self.plan.ramp.min(self.plan.budget.propagation);
        let ramp = (!length.is_zero()).then(|| Ramp {
            from: (end - length).into_std(),
            over: length,
        });
        steps.enter(Phase::Propagating);
        self.step("becoming not ready", self.phases_end(), steps.mark(ramp))
            .await;
        let left = end.saturating_duration_since(Instant::now());
        let next = match left.as_millis() {
            0 => "new requests are refused from now on".to_owned(),
            left => format!("requests are still served for {left} ms"),
        };
        let event = Event::new(name::SHUTDOWN_MARKED, "the service is no longer ready");
        let event = event.with_next(next);
        self.journal.record(event);
        self.hurry.patience(end).over().await;
    }

    async fn drain(&mut self, steps: &mut impl Steps) -> u64 {
        let begun = Instant::now();
        let deadline = (begun + self.plan.budget.drain).min(self.phases_end());
        steps.enter(Phase::Draining);
        self.step("refusing new requests", deadline, steps.begin_drain())
            .await;
        self.hurry
            .patience(deadline)
            .wait(async {
                while steps.in_flight() > 0 {
                    sleep(COUNT).await;
                }
            })
            .await;
        let left = steps.in_flight();
        let until = (Instant::now() + LAST_WORDS).min(self.end());
        let ended = self
            .step(
                "cutting the requests that are left",
                until,
                steps.end_drain(),
            )
            .await;
        let cut = ended.unwrap_or(left);
        let took = begun.elapsed().as_millis();
        let event = match cut {
            0 => Event::new(name::SHUTDOWN_DRAINED, "every request has been answered"),
            cut => Event::new(name::SHUTDOWN_DRAINED, format!("{cut} requests were cut"))
                .with_level(Level::Warn)
                .with_next("if they were worth waiting for, raise shutdown.drain"),
        };
        self.journal
            .record(event.with_evidence(format!("the drain took {took} ms")));
        cut
    }

    async fn hooks(&mut self, steps: &mut impl Steps) -> Vec<Done> {
        steps.enter(Phase::Hooks);
        let context = Context {
            reaper: self.reaper,
            app: steps.app_address(),
        };
        let end = (Instant::now() + self.plan.budget.hooks).min(self.phases_end());
        let patience = self.hurry.patience(end);
        let mut done = Vec::new();
        for (left, hook) in self.plan.hooks.iter().enumerate().rev() {
            let result = if patience.is_pressed() {
                hook.skipped("somebody was in a hurry")
            } else if patience.is_over() {
                hook.skipped("no time was left for it; raise shutdown.hooks_timeout")
            } else {
                let fair = fair_share(Instant::now(), end, left + 1);
                let own = if hook.timeout.is_some() { end } else { fair };
                hook.run(&context, &patience.at_most(own)).await
            };
            self.tell_hook(&result);
            done.push(result);
        }
        done
    }

    fn tell_hook(&self, hook: &Done) {
        let took = u64::try_from(hook.took.as_millis()).unwrap_or(u64::MAX);
        let event = match &hook.error {
            None => Event::new(
                name::SHUTDOWN_HOOK,
                format!("the hook {} is done", hook.name),
            )
            .with_evidence(format!("{took} ms")),
            Some(why) => Event::new(
                name::SHUTDOWN_HOOK,
                format!("the hook {} failed", hook.name),
            )
            .with_level(if hook.failed() {
                Level::Error
            } else {
                Level::Info
            })
            .with_evidence(why)
            .with_next("the shutdown goes on"),
        };
        let (name, ok) = (hook.name.as_str(), hook.error.is_none());
        if hook.failed() {
            tracing::error!(
                event = event.name,
                hook = name,
                ok,
                duration_ms = took,
                "{event}"
            );
        } else {
            tracing::info!(
                event = event.name,
                hook = name,
                ok,
                duration_ms = took,
                "{event}"
            );
        }
        self.journal.keep(event);
    }

    async fn stop_app(&mut self, steps: &mut impl Steps) -> bool {
        steps.enter(Phase::Stopping);
        let begun = Instant::now();
        let end = self.phases_end();
        let deadline = if self.plan.budget.app_takes_rest {
            end
        } else {
            (begun + self.plan.budget.app).min(end)
        };
        let patience = self.hurry.patience(deadline);
        let overdue = patience.clone();
        // Killing takes a moment too; it comes from the reserve.
        let limit = self.end();
        let stopped = tokio::select! {
            biased;
            end = steps.stop_app(patience) => Some(end),
            () = async {
                overdue.over().await;
                sleep_until((Instant::now() + LAST_WORDS * 2).min(limit)).await;
            } => None,
        };
        self.forced |= stopped.is_none();
        let took = begun.elapsed().as_millis();
        let (event, killed) = match stopped {
            Some(AppEnd::NoApp) => return false,
            Some(AppEnd::Stopped) => (Event::new(name::SHUTDOWN_APP, "the app has stopped"), false),
            Some(AppEnd::Killed) | None => (
                Event::new(name::SHUTDOWN_APP, "the app did not stop and was killed")
                    .with_level(Level::Warn)
                    .with_next("if it was about to, raise shutdown.app or shutdown.grace"),
                true,
            ),
        };
        self.journal
            .record(event.with_evidence(format!("after {took} ms")));
        killed
    }

    async fn flush(&mut self, steps: &mut impl Steps) {
        steps.enter(Phase::Flushing);
        // Even with nothing left of the grace period a buffer gets its chance.
        let until = self.end().max(Instant::now() + Duration::from_millis(100));
        self.step("writing out logs and metrics", until, steps.flush())
            .await;
    }

    fn complete(&self, summary: &Summary) {
        let duration_ms = u64::try_from(summary.duration.as_millis()).unwrap_or(u64::MAX);
        let failed = summary.hooks.iter().filter(|hook| hook.failed()).count();
        let event =
            Event::new(name::SHUTDOWN_COMPLETE, "the shutdown is complete").with_evidence(format!(
                "{duration_ms} ms; {} requests finished, {} cut; {failed} hooks failed; forced: {}",
                summary.inflight_completed, summary.aborted, summary.forced
            ));
        tracing::info!(
            event = event.name,
            duration_ms,
            inflight_completed = summary.inflight_completed,
            aborted = summary.aborted,
            forced = summary.forced,
            hooks_failed = failed,
            exit_code = summary.exit_code(),
            "{event}"
        );
        self.journal.keep(event);
    }
}

/// The deadline of the next of `left` hooks: its fair share of the time until `end`. What one does not use is shared by
/// those after it.
fn fair_share(now: Instant, end: Instant, left: usize) -> Instant {
    let rest = end.saturating_duration_since(now);
    let share = u32::try_from(left.max(1)).map_or(Duration::ZERO, |left| rest / left);
    now + share
}
