//! Leave to make one call.

use std::sync::Arc;

use super::circuit::Breaker;
use super::machine::{Report, Ticket};
use crate::clock::Moment;

/// Leave to make one call. Say what came of it with [`Permit::success`] or [`Permit::failure`]; dropping it gives the
/// leave back and counts nothing.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts nothing"]
pub struct Permit {
    breaker: Arc<Breaker>,
    ticket: Ticket,
    /// When the call began, if the breaker wants to know how long it takes.
    began: Option<Moment>,
    reported: bool,
}

impl Permit {
    pub(super) fn new(breaker: Arc<Breaker>, ticket: Ticket, began: Option<Moment>) -> Self {
        Self {
            breaker,
            ticket,
            began,
            reported: false,
        }
    }

    /// Whether the call is one of the few that decide whether the breaker closes.
    pub fn is_probe(&self) -> bool {
        self.ticket.probe
    }

    /// The call went well. `now` is asked for only where it matters.
    pub fn success(mut self, now: impl FnOnce() -> Moment) {
        self.reported = true;
        if !self.breaker.is_indifferent(self.ticket) {
            self.report(false, now());
        }
    }

    /// The call failed.
    pub fn failure(mut self, now: impl FnOnce() -> Moment) {
        self.reported = true;
        self.report(true, now());
    }

    fn report(&self, failed: bool, now: Moment) {
        let took = self.began.map(|began| now.since(began));
        let report = Report { failed, took, now };
        self.breaker.report(self.ticket, report);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.reported && self.ticket.probe {
            self.breaker.release(self.ticket);
        }
    }
}
