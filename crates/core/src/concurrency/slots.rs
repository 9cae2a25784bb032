//! Places for requests, and a queue for those who come when all are taken.
//!
//! Taking a free place is one atomic step, and so is giving it back while nobody waits. Whoever waits has a ticket in a queue that
//! is bounded and ordered: higher priorities first, and within one the earlier first. A full queue turns away whoever matters
//! least, who may be the newcomer or one of those in it. A place is handed from its last holder to the next under the lock,
//! so that nobody overtakes the queue for ever and no place is lost when a ticket is torn up at that very moment.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

#[cfg(all(loom, test))]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, Ordering},
};
#[cfg(not(all(loom, test)))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, Ordering},
};

use super::Priority;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// All places are taken and the queue is full of those who matter at least as much.
    Full,
    /// Somebody came who matters more, and the queue was full.
    Displaced,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub struct Slots {
    limit: AtomicU32,
    inside: AtomicU32,
    waiting: AtomicU32,
    most_waiting: AtomicU32,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Numbers tickets, so that they stay in order.
    next: u64,
    tickets: BTreeMap<(Reverse<Priority>, u64), Option<Waker>>,
    /// Tickets that were called out, and those that were turned away, until their holders look.
    called: Vec<u64>,
    displaced: Vec<u64>,
}

impl Slots {
    /// `limit` places, and room for so many who wait.
    pub fn new(limit: u32, most_waiting: u32) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicU32::new(limit.max(1)),
            inside: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            most_waiting: AtomicU32::new(most_waiting),
            queue: Mutex::default(),
        })
    }

    /// A place at once, a ticket for one, or neither.
    ///
    /// # Errors
    /// When the queue is full, too, and nobody in it matters less.
    pub fn enter(self: &Arc<Self>, priority: Priority) -> Result<Result<Place, Ticket>, Refusal> {
        if self.waiting.load(Ordering::SeqCst) == 0 && self.take() {
            return Ok(Ok(Place(self.clone())));
        }
        let mut queue = self.queue();
        // Said before looking again: whoever gives a place back from now on looks into the queue.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        in_one_order();
        if queue.tickets.is_empty() && self.take() {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return Ok(Ok(Place(self.clone())));
        }
        let waiting = u32::try_from(queue.tickets.len()).unwrap_or(u32::MAX);
        if waiting >= self.most_waiting.load(Ordering::Relaxed) {
            let last = queue.tickets.last_key_value().map(|(key, _)| *key);
            let Some(last) = last.filter(|(Reverse(other), _)| *other < priority) else {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                return Err(Refusal::Full);
            };
            let waker = queue.tickets.remove(&last).flatten();
            queue.displaced.push(last.1);
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        let number = queue.next;
        queue.next += 1;
        let key = (Reverse(priority), number);
        queue.tickets.insert(key, None);
        drop(queue);
        Ok(Err(Ticket {
            slots: self.clone(),
            key,
            done: false,
        }))
    }

    /// Requests inside.
    pub fn inside(&self) -> u32 {
        self.inside.load(Ordering::Relaxed)
    }

    /// Requests that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Places there are.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes the number of places. Whoever is inside stays.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit.max(1), Ordering::SeqCst);
        in_one_order();
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.call(&mut self.queue());
        }
    }

    /// Changes how many may wait. Whoever waits goes on waiting.
    pub fn set_most_waiting(&self, most: u32) {
        self.most_waiting.store(most, Ordering::Relaxed);
    }

    /// How many may wait.
    pub fn most_waiting(&self) -> u32 {
        self.most_waiting.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        let limit = self.limit.load(Ordering::SeqCst);
        let free = |inside| (inside < limit).then_some(inside + 1);
        self.inside
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, free)
            .is_ok()
    }

    fn give_back(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
        in_one_order();
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.call(&mut self.queue());
        }
    }

    /// Hands free places to those who wait.
    fn call(&self, queue: &mut Queue) {
        while !queue.tickets.is_empty() && self.take() {
            if let Some(((_, number), waker)) = queue.tickets.pop_first() {
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                queue.called.push(number);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place inside; dropping it gives it back.
#[derive(Debug)]
pub struct Place(Arc<Slots>);

impl Place {
    /// The slots it is one of.
    pub fn slots(&self) -> &Arc<Slots> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// A ticket for the next place; dropping it leaves the queue.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    slots: Arc<Slots>,
    key: (Reverse<Priority>, u64),
    done: bool,
}

impl Ticket {
    /// The place, once it is this ticket's turn.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Place, Refusal>> {
        let mut queue = self.slots.queue();
        if let Some(waker) = queue.tickets.get_mut(&self.key) {
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                *waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        self.done = true;
        if forget(&mut queue.displaced, self.key.1) {
            return Poll::Ready(Err(Refusal::Displaced));
        }
        forget(&mut queue.called, self.key.1);
        drop(queue);
        Poll::Ready(Ok(Place(self.slots.clone())))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut queue = self.slots.queue();
        if queue.tickets.remove(&self.key).is_some() {
            self.slots.waiting.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        let called = forget(&mut queue.called, self.key.1);
        forget(&mut queue.displaced, self.key.1);
        drop(queue);
        // Its turn came while it was torn up: the place goes to the next.
        if called {
            self.slots.give_back();
        }
    }
}

/// Whoever waits says so before looking for a place, and whoever leaves looks for those who wait after giving the place back: one of
/// them sees the other, because all threads agree on the order of `SeqCst` accesses. Loom knows that order of fences only.
#[inline]
fn in_one_order() {
    #[cfg(all(loom, test))]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// Takes `number` out of a short list; whether it was in it.
fn forget(numbers: &mut Vec<u64>, number: u64) -> bool {
    let place = numbers.iter().position(|other| *other == number);
    place.map(|place| numbers.swap_remove(place)).is_some()
}
