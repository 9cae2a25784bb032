//! The leases of this process, one for each busy key.
//!
//! They stand in a table of fixed size. A key whose place another one has a live lease in goes without: it asks for every request,
//! which is only slower.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use seaworthy_core::clock::Moment;
use seaworthy_core::quota::{Decision, Lease, Spend, Standing, Terms};
use tokio::sync::Notify;

/// What the store answers when it is asked for tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    /// Tokens that were given.
    pub(super) given: u64,
    pub(super) standing: Standing,
    pub(super) retry_after: Option<Duration>,
}

impl Reply {
    /// What it means for somebody who needed tokens.
    pub(super) fn decision(&self, need: u64) -> Decision {
        if self.given >= need {
            return Decision::Taken(self.standing);
        }
        Decision::Refused {
            standing: self.standing,
            retry_after: self.retry_after,
        }
    }
}

/// Keys with a lease at a time, for each limit.
const PLACES: usize = 4096;

/// What is known of one key.
#[derive(Debug, Default)]
struct Place {
    key: u64,
    name: Option<Arc<str>>,
    lease: Lease,
    /// What the store said was left, when it was asked last.
    beyond: u64,
    full_in: Duration,
    /// Somebody asks already; who comes meanwhile waits for that answer.
    asking: Option<Arc<Notify>>,
}

/// What to do about a request for tokens.
pub(super) enum Next {
    /// It is decided.
    Decided(Decision),
    /// Ask for so many; the answer goes to [`Leases::granted`].
    Ask { need: u64, want: u64 },
    /// Somebody asks already: come back after this.
    Wait(Arc<Notify>),
    /// There is no place for a lease: ask for as much as is needed.
    Without,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Leases {
    pub(super) terms: Terms,
    places: Box<[Mutex<Place>]>,
}

impl Leases {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
        }
    }

    fn place(&self, key: u64) -> MutexGuard<'_, Place> {
        let place = usize::try_from(key % self.places.len() as u64).unwrap_or(0);
        self.places[place]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `cost` tokens from the lease of `key`, or says what to do for them.
    pub(super) fn spend(&self, key: u64, cost: u64, now: Moment) -> Next {
        let mut place = self.place(key);
        if place.key != key {
            if place.asking.is_some() || place.lease.tokens() > 0 {
                return Next::Without;
            }
            *place = Place {
                key,
                ..Place::default()
            };
        }
        if place.lease.tokens() < cost
            && let Some(asking) = &place.asking
        {
            return Next::Wait(asking.clone());
        }
        match place.lease.spend(cost, now, self.terms) {
            Spend::Taken { left } => Next::Decided(Decision::Taken(Standing {
                remaining: left.saturating_add(place.beyond),
                full_in: place.full_in,
            })),
            Spend::Refused { retry_after } => Next::Decided(Decision::Refused {
                standing: Standing {
                    remaining: place.lease.tokens(),
                    full_in: place.full_in,
                },
                retry_after,
            }),
            Spend::Ask { need, want } => {
                place.asking = Some(Arc::default());
                Next::Ask { need, want }
            }
        }
    }

    /// Notes the answer to a question for `need`, and decides about `cost`. `None` when the store gave what was needed, but others
    /// have spent of the lease meanwhile: look again.
    pub(super) fn granted(
        &self,
        key: u64,
        name: &Arc<str>,
        (cost, need): (u64, u64),
        reply: &Reply,
        now: Moment,
    ) -> Option<Decision> {
        let mut place = self.place(key);
        if let Some(asking) = place.asking.take() {
            asking.notify_waiters();
        }
        place.name = Some(name.clone());
        place.beyond = reply.standing.remaining;
        place.full_in = reply.standing.full_in;
        if reply.given < need {
            place.lease.refuse(need, reply.retry_after, now);
            return Some(reply.decision(need));
        }
        place.lease.grant(reply.given, cost, now).then(|| {
            Decision::Taken(Standing {
                remaining: place.lease.tokens().saturating_add(place.beyond),
                full_in: place.full_in,
            })
        })
    }

    /// Whether it is this question for `key` that has no answer yet. A later one wakes nobody who waits for this one.
    pub(super) fn is_asking(&self, key: u64, question: &Arc<Notify>) -> bool {
        let place = self.place(key);
        let asking = place.asking.as_ref();
        place.key == key && asking.is_some_and(|asking| Arc::ptr_eq(asking, question))
    }

    /// Notes that no answer will come.
    pub(super) fn unanswered(&self, key: u64) {
        let mut place = self.place(key);
        if place.key == key
            && let Some(asking) = place.asking.take()
        {
            asking.notify_waiters();
        }
    }

    /// Puts tokens into the lease that a request has not used after all.
    pub(super) fn give_back(&self, key: u64, tokens: u64, now: Moment) -> bool {
        let mut place = self.place(key);
        let here = place.key == key && place.name.is_some();
        if here {
            place.lease.grant(tokens, 0, now);
        }
        here
    }

    /// Ends leases that are over, and returns what is left of each.
    pub(super) fn over(&self, now: Moment) -> Vec<(Arc<str>, u64)> {
        let mut left = Vec::new();
        for place in &self.places {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = place.asking.is_none() && place.lease.tokens() > 0;
            if idle
                && place.lease.is_over(now, self.terms)
                && let Some(name) = place.name.clone()
            {
                left.push((name, place.lease.end()));
            }
        }
        left
    }

    /// Forgets the lease of a key.
    pub(super) fn reset(&self, key: u64) {
        let mut place = self.place(key);
        if place.key == key && place.asking.is_none() {
            *place = Place::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u64 = 7;

    fn leases() -> Leases {
        Leases::new(Terms {
            most: 100,
            term: Duration::from_millis(200),
        })
    }

    fn gave(given: u64) -> Reply {
        Reply {
            given,
            standing: Standing {
                remaining: 0,
                full_in: Duration::ZERO,
            },
            retry_after: None,
        }
    }

    #[test]
    fn what_others_spent_of_a_lease_meanwhile_is_not_spent_twice() {
        let (leases, now, name) = (leases(), Moment(1), Arc::from("x"));
        assert!(matches!(
            leases.spend(KEY, 1, now),
            Next::Ask { need: 1, .. }
        ));
        let granted = leases.granted(KEY, &name, (1, 1), &gave(4), now);
        assert!(granted.is_some_and(|decision| decision.is_taken()));
        let Next::Ask { need: 2, .. } = leases.spend(KEY, 5, now) else {
            panic!("three of five are there");
        };
        for _ in 0..3 {
            assert!(matches!(leases.spend(KEY, 1, now), Next::Decided(_)));
        }
        assert_eq!(leases.granted(KEY, &name, (5, 2), &gave(2), now), None);
        assert!(matches!(
            leases.spend(KEY, 5, now),
            Next::Ask { need: 3, .. }
        ));
        let granted = leases.granted(KEY, &name, (5, 3), &gave(3), now);
        assert!(granted.is_some_and(|decision| decision.is_taken()));
        assert_eq!(leases.place(KEY).lease.tokens(), 0);
    }

    #[test]
    fn who_waits_for_one_question_does_not_wait_for_the_next() {
        let (leases, now) = (leases(), Moment(1));
        assert!(matches!(leases.spend(KEY, 1, now), Next::Ask { .. }));
        let Next::Wait(first) = leases.spend(KEY, 1, now) else {
            panic!("somebody asks");
        };
        assert!(leases.is_asking(KEY, &first));
        leases.unanswered(KEY);
        assert!(matches!(leases.spend(KEY, 1, now), Next::Ask { .. }));
        let Next::Wait(second) = leases.spend(KEY, 1, now) else {
            panic!("somebody asks again");
        };
        assert!(leases.is_asking(KEY, &second) && !leases.is_asking(KEY, &first));
    }
}
