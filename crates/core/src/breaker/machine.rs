//! The states of a breaker and the ways between them, one step at a time.

use std::time::Duration;

use super::rules::{Mode, Rules};
use super::window::Window;
use super::{Cause, Change, Refused, State, Steer};
use crate::clock::Moment;

/// When to come back while probes are under way: they are soon over, one way or the other.
const SOON: Duration = Duration::from_secs(1);

/// Leave to make one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) generation: u32,
    pub(super) probe: bool,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) failed: bool,
    /// How long the call took, where somebody measured it.
    pub(super) took: Option<Duration>,
    pub(super) now: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: Moment,
    },
    HalfOpen {
        until: Moment,
        /// Probes that nobody has yet.
        free: u32,
        succeeded: u32,
    },
    ForcedOpen,
    ForcedClosed,
    Disabled,
}

#[derive(Debug)]
pub(super) struct Machine {
    rules: Rules,
    seed: u64,
    phase: Phase,
    generation: u32,
    /// Failures that count towards opening, or did.
    failures: u32,
    window: Window,
    /// Times it opened since it was last closed.
    openings: u32,
    since: Moment,
}

impl Machine {
    pub(super) fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            seed,
            phase: Phase::Closed,
            generation: 0,
            failures: 0,
            window: Window::new(rules.window),
            openings: 0,
            since: Moment(0),
        }
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Other figures from now on. State and counts stay, unless they were made over another window.
    pub(super) fn adjust(&mut self, rules: Rules) {
        if !self.window.is_of(rules.window) {
            self.window = Window::new(rules.window);
        }
        self.rules = rules;
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn since(&self) -> Moment {
        self.since
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::ForcedClosed => State::ForcedClosed,
            Phase::Disabled => State::Disabled,
        }
    }

    /// When it changes by itself.
    pub(super) fn until(&self) -> Option<Moment> {
        match self.phase {
            Phase::Open { until } | Phase::HalfOpen { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Asks for leave to make a call.
    pub(super) fn acquire(&mut self, now: Moment) -> (Result<Ticket, Refused>, Option<Change>) {
        let (until, cause) = match &mut self.phase {
            Phase::Closed | Phase::ForcedClosed | Phase::Disabled => {
                return (Ok(self.ticket(false)), None);
            }
            Phase::ForcedOpen => return (Err(Refused { after: None }), None),
            Phase::Open { until } => (*until, Cause::TimeOver),
            Phase::HalfOpen { until, free, .. } if now < *until => {
                if *free == 0 {
                    let after = Some(until.since(now).min(SOON));
                    return (Err(Refused { after }), None);
                }
                *free -= 1;
                return (Ok(self.ticket(true)), None);
            }
            // Nobody knows what became of the probes. Others are let through, or it would stay so for ever.
            Phase::HalfOpen { until, .. } => (*until, Cause::ProbesLost),
        };
        if now < until {
            let after = Some(until.since(now));
            return (Err(Refused { after }), None);
        }
        // The caller has the first probe: it is reserved in this very step.
        let phase = Phase::HalfOpen {
            until: now.after(self.rules.half_open),
            free: self.rules.probes.max(1) - 1,
            succeeded: 0,
        };
        let change = self.enter(phase, cause, now);
        (Ok(self.ticket(true)), Some(change))
    }

    /// Takes note of what a call came to. What belongs to another generation says nothing about this one.
    pub(super) fn report(&mut self, ticket: Ticket, report: Report) -> Option<Change> {
        if ticket.generation != self.generation {
            return None;
        }
        let is_slow = match (self.rules.slow, report.took) {
            (Some(slow), Some(took)) => took >= slow.after,
            _ => false,
        };
        match &mut self.phase {
            Phase::Closed => self.count(report, is_slow),
            Phase::HalfOpen { .. } if report.failed || is_slow => {
                Some(self.open(Cause::ProbeFailed, report.now))
            }
            Phase::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                let probes = *succeeded;
                (probes >= self.rules.probes)
                    .then(|| self.close(Cause::ProbesSucceeded { probes }, report.now))
            }
            _ => None,
        }
    }

    /// Takes back leave that came to nothing.
    pub(super) fn release(&mut self, ticket: Ticket) {
        if let Phase::HalfOpen { free, .. } = &mut self.phase
            && ticket.probe
            && ticket.generation == self.generation
        {
            *free += 1;
        }
    }

    /// Does as somebody says.
    pub(super) fn steer(&mut self, steer: Steer, now: Moment) -> Option<Change> {
        let phase = match steer {
            Steer::ForceOpen => Phase::ForcedOpen,
            Steer::ForceClosed => Phase::ForcedClosed,
            Steer::Disable => Phase::Disabled,
            Steer::Reset => Phase::Closed,
        };
        if matches!(steer, Steer::Reset) {
            self.failures = 0;
            self.openings = 0;
            self.window.clear();
        }
        (phase != self.phase).then(|| self.enter(phase, Cause::Operator, now))
    }

    fn ticket(&self, probe: bool) -> Ticket {
        Ticket {
            generation: self.generation,
            probe,
        }
    }

    fn count(&mut self, report: Report, is_slow: bool) -> Option<Change> {
        if !self.rules.has_window() {
            self.failures = if report.failed {
                self.failures.saturating_add(1)
            } else {
                0
            };
            return self.tripped_in_a_row(report);
        }
        self.window.record(report.now, report.failed, is_slow);
        let tally = self.window.tally(report.now);
        let (calls, enough) = (tally.calls, tally.calls >= self.rules.min_calls);
        let within = Cause::Within {
            failures: tally.failures,
            calls,
            window: self.rules.window,
        };
        let cause = match self.rules.mode {
            Mode::Consecutive { .. } => {
                self.failures = if report.failed {
                    self.failures.saturating_add(1)
                } else {
                    0
                };
                if let Some(change) = self.tripped_in_a_row(report) {
                    return Some(change);
                }
                None
            }
            Mode::Count { failures } => {
                self.failures = tally.failures;
                (report.failed && tally.failures >= failures).then_some(within)
            }
            Mode::Rate { threshold } => {
                self.failures = tally.failures;
                let reached = share(tally.failures, calls) >= threshold;
                (enough && tally.failures > 0 && reached).then_some(within)
            }
        };
        let slow = self
            .rules
            .slow
            .filter(|slow| enough && tally.slow > 0 && share(tally.slow, calls) >= slow.threshold);
        let cause = cause.or_else(|| {
            slow.map(|slow| Cause::Slow {
                slow: tally.slow,
                calls,
                after: slow.after,
            })
        })?;
        Some(self.open(cause, report.now))
    }

    fn tripped_in_a_row(&mut self, report: Report) -> Option<Change> {
        let Mode::Consecutive { failures } = self.rules.mode else {
            return None;
        };
        let failed = self.failures;
        (report.failed && failed >= failures)
            .then(|| self.open(Cause::InARow { failures: failed }, report.now))
    }

    fn open(&mut self, cause: Cause, now: Moment) -> Change {
        self.openings = self.openings.saturating_add(1);
        let dice = mix(self.seed ^ u64::from(self.generation));
        let until = now.after(self.rules.open_time(self.openings, dice));
        self.enter(Phase::Open { until }, cause, now)
    }

    fn close(&mut self, cause: Cause, now: Moment) -> Change {
        self.failures = 0;
        self.openings = 0;
        self.window.clear();
        self.enter(Phase::Closed, cause, now)
    }

    fn enter(&mut self, phase: Phase, cause: Cause, now: Moment) -> Change {
        let from = self.state();
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
        self.since = now;
        Change {
            from,
            to: self.state(),
            cause,
            at: now,
            lasts: self.until().map(|until| until.since(now)),
            generation: self.generation,
        }
    }
}

fn share(of: u32, all: u32) -> f64 {
    f64::from(of) / f64::from(all.max(1))
}

/// Scatters a number (splitmix64): one seed gives other dice for each generation.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
