//! A breaker that many calls use at once.
//!
//! One atomic word says what every call has to know: the state, the failures that count, the generation, and whether
//! successes matter at all. A closed breaker that counts failures in a row costs a call one load of it and one after;
//! everything that changes something takes the mutex, for a few instructions.

use std::fmt;
use std::sync::Arc;

#[cfg(all(loom, test))]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(all(loom, test)))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use super::machine::{Machine, Report, Ticket};
use super::{Change, Permit, Refused, Rules, State};
use crate::clock::Moment;

/// What somebody can tell a breaker to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steer {
    /// Refuse every call.
    ForceOpen,
    /// Let every call through, whatever comes of it.
    ForceClosed,
    /// Let every call through and count nothing.
    Disable,
    /// Forget everything and begin again, closed.
    Reset,
}

/// A breaker as it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    /// What it does with calls; an open one whose time is over is shown as half-open.
    pub state: State,
    /// Failures that count towards opening, or that opened it.
    pub failures: u32,
    /// How long it has been in this state.
    pub since: Moment,
    /// When it changes by itself.
    pub until: Option<Moment>,
    /// Its figures.
    pub rules: Rules,
}

/// Told of each change, outside of the lock.
type Watcher = Box<dyn Fn(&Change) + Send + Sync>;

/// See the [module documentation](super). Share it in an [`Arc`].
pub struct Breaker {
    word: AtomicU64,
    /// Until when an open breaker refuses, so that refusing takes no lock.
    until: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    machine: Mutex<Machine>,
    watcher: Option<Watcher>,
}

/// Packs what every call has to know: three bits of state, two flags, 27 bits of failures, 32 of generation.
#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    /// A success has to be recorded even when nothing failed before.
    const COUNTS: u64 = 1 << 3;
    /// Calls have to be measured.
    const TIMED: u64 = 1 << 4;
    const MOST_FAILURES: u32 = (1 << 27) - 1;

    fn of(machine: &Machine) -> Self {
        let state = match machine.state() {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open => 2,
            State::ForcedOpen => 3,
            State::ForcedClosed => 4,
            State::Disabled => 5,
        };
        let mut word = state;
        if machine.rules().has_window() {
            word |= Self::COUNTS;
        }
        if machine.rules().slow.is_some() {
            word |= Self::TIMED;
        }
        let failures = machine.failures().min(Self::MOST_FAILURES);
        Self(word | u64::from(failures) << 5 | u64::from(machine.generation()) << 32)
    }

    fn state(self) -> State {
        match self.0 & 7 {
            0 => State::Closed,
            1 => State::HalfOpen,
            2 => State::Open,
            3 => State::ForcedOpen,
            4 => State::ForcedClosed,
            _ => State::Disabled,
        }
    }

    fn failures(self) -> u32 {
        u32::try_from(self.0 >> 5 & u64::from(Self::MOST_FAILURES)).unwrap_or_default()
    }

    fn generation(self) -> u32 {
        u32::try_from(self.0 >> 32).unwrap_or_default()
    }
}

impl Breaker {
    /// A closed breaker. `seed` makes its jitter differ from that of others.
    pub fn new(rules: Rules, seed: u64) -> Self {
        let machine = Machine::new(rules, seed);
        Self {
            word: AtomicU64::new(Word::of(&machine).0),
            until: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            machine: Mutex::new(machine),
            watcher: None,
        }
    }

    /// Tells `watcher` of each change, after it was made. Two changes in quick succession may be told the other way round;
    /// their generation says which is later.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(&Change) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Asks for leave to make a call. `now` is asked for only where it matters.
    ///
    /// # Errors
    /// The breaker is open, or enough probes are under way.
    pub fn acquire(self: &Arc<Self>, now: impl FnOnce() -> Moment) -> Result<Permit, Refused> {
        let word = Word(self.word.load(Ordering::Acquire));
        let now = match word.state() {
            State::Closed | State::ForcedClosed | State::Disabled => {
                let ticket = Ticket {
                    generation: word.generation(),
                    probe: false,
                };
                let began = (word.0 & Word::TIMED != 0).then(now);
                return Ok(Permit::new(self.clone(), ticket, began));
            }
            State::ForcedOpen => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Refused { after: None });
            }
            State::Open => {
                let now = now();
                let until = Moment(self.until.load(Ordering::Acquire));
                if now < until {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    let after = Some(until.since(now));
                    return Err(Refused { after });
                }
                now
            }
            State::HalfOpen => now(),
        };
        let (result, change) = self.step(|machine| machine.acquire(now));
        self.tell(change);
        match result {
            Ok(ticket) => Ok(Permit::new(self.clone(), ticket, Some(now))),
            Err(refused) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(refused)
            }
        }
    }

    /// What it does with calls, without a lock.
    pub fn state(&self) -> State {
        Word(self.word.load(Ordering::Acquire)).state()
    }

    /// Failures that count towards opening, or that opened it, without a lock.
    pub fn failures(&self) -> u32 {
        Word(self.word.load(Ordering::Acquire)).failures()
    }

    /// Whether a call at `now` would be refused for sure, without a lock.
    pub fn would_refuse(&self, now: impl FnOnce() -> Moment) -> bool {
        match self.state() {
            State::Open => now() < Moment(self.until.load(Ordering::Acquire)),
            State::ForcedOpen => true,
            _ => false,
        }
    }

    /// Calls that failed since the beginning.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Calls that were refused since the beginning.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The whole of it at one moment.
    pub fn show(&self, now: Moment) -> Shown {
        let machine = self.machine();
        let until = machine.until();
        let state = match machine.state() {
            State::Open if until.is_some_and(|until| now >= until) => State::HalfOpen,
            state => state,
        };
        Shown {
            state,
            failures: machine.failures(),
            since: machine.since(),
            until: until.filter(|until| now < *until),
            rules: *machine.rules(),
        }
    }

    /// Does as somebody says.
    pub fn steer(&self, steer: Steer, now: Moment) {
        let change = self.step(|machine| ((), machine.steer(steer, now))).1;
        self.tell(change);
    }

    /// Other figures from now on; state and counts stay.
    pub fn adjust(&self, rules: Rules) {
        self.step(|machine| {
            machine.adjust(rules);
            ((), None)
        });
    }

    /// Whether the success of this call changes nothing.
    pub(super) fn is_indifferent(&self, ticket: Ticket) -> bool {
        let word = Word(self.word.load(Ordering::Acquire));
        word.generation() != ticket.generation
            || !ticket.probe && word.failures() == 0 && word.0 & Word::COUNTS == 0
    }

    pub(super) fn report(&self, ticket: Ticket, report: Report) {
        if report.failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        let change = self.step(|machine| ((), machine.report(ticket, report))).1;
        self.tell(change);
    }

    pub(super) fn release(&self, ticket: Ticket) {
        self.step(|machine| {
            machine.release(ticket);
            ((), None)
        });
    }

    /// Makes one step and shows its outcome in the word.
    fn step<T>(
        &self,
        step: impl FnOnce(&mut Machine) -> (T, Option<Change>),
    ) -> (T, Option<Change>) {
        let mut machine = self.machine();
        let outcome = step(&mut machine);
        // Before the word: whoever reads `open` there finds its end here.
        let until = machine.until().map_or(0, |until| until.0);
        self.until.store(until, Ordering::Release);
        self.word.store(Word::of(&machine).0, Ordering::Release);
        outcome
    }

    fn tell(&self, change: Option<Change>) {
        if let (Some(watcher), Some(change)) = (&self.watcher, change) {
            watcher(&change);
        }
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .field("failures", &self.failures())
            .finish_non_exhaustive()
    }
}
