//! The machine against a naive model of it, over random schedules.

use std::time::Duration;

use proptest::prelude::*;

use super::machine::{Machine, Report, Ticket};
use super::{Mode, Rules, Slow, State, Steer};
use crate::clock::{Moment, nanos};

/// What can happen to a breaker.
#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(u64),
    Call,
    /// The outcome of one of the calls under way.
    End {
        which: prop::sample::Index,
        failed: bool,
        took: u64,
    },
    /// One of the calls under way is given up.
    Drop(prop::sample::Index),
    Steer(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1_u64..3_000).prop_map(Step::Wait),
        6 => Just(Step::Call),
        6 => (any::<prop::sample::Index>(), any::<bool>(), 0_u64..400)
            .prop_map(|(which, failed, took)| Step::End { which, failed, took }),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        1 => (0_u8..40).prop_map(Step::Steer),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let mode = prop_oneof![
        (1_u32..6).prop_map(|failures| Mode::Consecutive { failures }),
        (1_u32..6).prop_map(|failures| Mode::Count { failures }),
        (1_u32..=10).prop_map(|tenths| Mode::Rate {
            threshold: f64::from(tenths) / 10.0
        }),
    ];
    (mode, any::<bool>(), 1_u32..8, 1_u32..4, any::<bool>()).prop_map(
        |(mode, slow, min_calls, probes, doubles)| Rules {
            mode,
            slow: slow.then_some(Slow {
                after: Duration::from_millis(200),
                threshold: 0.5,
            }),
            min_calls,
            window: Duration::from_secs(10),
            open: Duration::from_secs(4),
            open_max: doubles.then_some(Duration::from_secs(10)),
            jitter: 0.0,
            probes,
            half_open: Duration::from_secs(6),
        },
    )
}

/// The same, written down as slowly and plainly as can be.
#[derive(Debug)]
struct Model {
    rules: Rules,
    state: State,
    cycle: u64,
    until: u64,
    calls: Vec<(u64, bool, bool)>,
    row: u32,
    openings: u32,
    under_way: u32,
    succeeded: u32,
}

impl Model {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Closed,
            cycle: 0,
            until: 0,
            calls: Vec::new(),
            row: 0,
            openings: 0,
            under_way: 0,
            succeeded: 0,
        }
    }

    fn go(&mut self, state: State) {
        self.state = state;
        self.cycle += 1;
        self.under_way = 0;
        self.succeeded = 0;
        if state == State::Closed {
            self.row = 0;
            self.openings = 0;
            self.calls.clear();
        }
    }

    fn open(&mut self, now: u64) {
        self.go(State::Open);
        let mut time = 4_000;
        if self.rules.open_max.is_some() {
            for _ in 0..self.openings {
                time = (time * 2).min(10_000);
            }
        }
        self.openings += 1;
        self.until = now + time;
    }

    fn call(&mut self, now: u64) -> Option<(u64, bool)> {
        match self.state {
            State::Closed | State::ForcedClosed | State::Disabled => Some((self.cycle, false)),
            State::ForcedOpen => None,
            State::Open | State::HalfOpen if now >= self.until => {
                self.go(State::HalfOpen);
                self.until = now + 6_000;
                self.under_way = 1;
                Some((self.cycle, true))
            }
            State::HalfOpen if self.under_way + self.succeeded < self.rules.probes => {
                self.under_way += 1;
                Some((self.cycle, true))
            }
            State::Open | State::HalfOpen => None,
        }
    }

    fn end(&mut self, (cycle, probe): (u64, bool), failed: bool, took: u64, now: u64) {
        if cycle != self.cycle {
            return;
        }
        // A call that was let through while nothing had to be measured cannot be slow; the machine is told so as well.
        let slow = self.rules.slow.is_some() && took >= 200;
        match self.state {
            State::Closed => self.count(failed, slow, now),
            State::HalfOpen if probe => {
                self.under_way -= 1;
                if failed || slow {
                    self.open(now);
                } else {
                    self.succeeded += 1;
                    if self.succeeded == self.rules.probes {
                        self.go(State::Closed);
                    }
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, failed: bool, slow: bool, now: u64) {
        self.row = if failed { self.row + 1 } else { 0 };
        self.calls.push((now, failed, slow));
        let seen: Vec<_> = self
            .calls
            .iter()
            .filter(|call| now / 1_000 - call.0 / 1_000 < 10)
            .collect();
        let share = |part: usize| part as f64 / seen.len() as f64;
        let failures = seen.iter().filter(|call| call.1).count();
        let lazy = seen.iter().filter(|call| call.2).count();
        let enough = seen.len() >= self.rules.min_calls as usize;
        let trips = match self.rules.mode {
            Mode::Consecutive { failures } => failed && self.row >= failures,
            Mode::Count { failures: most } => failed && failures >= most as usize,
            Mode::Rate { threshold } => enough && failures > 0 && share(failures) >= threshold,
        };
        let too_slow = (self.rules.slow)
            .is_some_and(|rule| enough && lazy > 0 && share(lazy) >= rule.threshold);
        if trips || too_slow {
            self.open(now);
        }
    }
}

fn at(millis: u64) -> Moment {
    Moment(nanos(Duration::from_millis(millis)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_machine_does_what_the_model_does(
        rules in rules(),
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut machine = Machine::new(rules, 7);
        let mut model = Model::new(rules);
        let mut now = 0;
        let mut calls: Vec<(Ticket, (u64, bool))> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(millis) => now += millis,
                Step::Call => {
                    let (answer, _) = machine.acquire(at(now));
                    let expected = model.call(now);
                    prop_assert_eq!(answer.is_ok(), expected.is_some(), "{:?}", model);
                    if let (Ok(ticket), Some(call)) = (answer, expected) {
                        prop_assert_eq!(ticket.probe, call.1);
                        calls.push((ticket, call));
                    }
                }
                Step::End { which, failed, took } if !calls.is_empty() => {
                    let (ticket, call) = calls.swap_remove(which.index(calls.len()));
                    let took = Some(Duration::from_millis(took));
                    machine.report(ticket, Report { failed, took, now: at(now) });
                    let millis = took.map_or(0, |took| u64::try_from(took.as_millis()).unwrap());
                    model.end(call, failed, millis, now);
                }
                Step::Drop(which) if !calls.is_empty() => {
                    let (ticket, (cycle, probe)) = calls.swap_remove(which.index(calls.len()));
                    machine.release(ticket);
                    if probe && cycle == model.cycle && model.state == State::HalfOpen {
                        model.under_way -= 1;
                    }
                }
                Step::Steer(number) => {
                    let (steer, state) = match number {
                        0 => (Steer::ForceOpen, State::ForcedOpen),
                        1 => (Steer::ForceClosed, State::ForcedClosed),
                        2 => (Steer::Disable, State::Disabled),
                        3..6 => (Steer::Reset, State::Closed),
                        _ => continue,
                    };
                    machine.steer(steer, at(now));
                    if state == State::Closed {
                        model.row = 0;
                        model.openings = 0;
                        model.calls.clear();
                    }
                    if model.state != state {
                        let (row, openings) = (model.row, model.openings);
                        let seen = std::mem::take(&mut model.calls);
                        model.go(state);
                        (model.row, model.openings, model.calls) = (row, openings, seen);
                    }
                }
                Step::End { .. } | Step::Drop(_) => {}
            }
            prop_assert_eq!(machine.state(), model.state);
            prop_assert!(model.under_way + model.succeeded <= rules.probes);
        }
    }
}
