//! The phase, the count of requests inside, and who wants to hear of a change.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use seaworthy_core::budget::Ramp;
use slab::Slab;

use crate::exchange::DrainId;

/// How far a shutdown has come, as requests see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// No shutdown.
    Serving = 0,
    /// Balancers are being told; requests are served, and connections are asked to close.
    Propagating = 1,
    /// New requests are refused; those inside finish.
    Draining = 2,
    /// The deadline: what is still inside is ended.
    Cut = 3,
}

/// One worker's view of the shutdown. Clones share it; it may be moved between threads.
#[derive(Clone, Default)]
pub struct Drain(Arc<Shared>);

#[derive(Default)]
struct Shared {
    phase: AtomicU8,
    inside: AtomicU64,
    cut: AtomicU64,
    completed: AtomicU64,
    listeners: Mutex<Slab<Waker>>,
    ramp: Mutex<Option<Share>>,
}

/// Refuses a growing share of requests, evenly spread: an accumulator, not a die, so that the share is exact.
struct Share {
    ramp: Ramp,
    owed: f64,
}

impl Drain {
    /// Where the shutdown stands.
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Propagating,
            2 => Phase::Draining,
            _ => Phase::Cut,
        }
    }

    /// Moves on to `phase` and wakes everyone who listens. It never goes back.
    pub fn advance(&self, phase: Phase) {
        self.0.phase.fetch_max(phase as u8, Ordering::AcqRel);
        // Cloned, because a woken task may come back for the list, and left in it, because it may not.
        let woken: Vec<Waker> = (self.listeners().iter())
            .map(|(_, waker)| waker.clone())
            .collect();
        for waker in woken {
            waker.wake();
        }
    }

    /// While propagating, refuses a growing share of new requests.
    pub fn ramp(&self, ramp: Ramp) {
        *self.share() = Some(Share { ramp, owed: 0.0 });
    }

    /// Whether a request that arrives now may come in.
    pub fn admits(&self, now: impl FnOnce() -> Instant) -> bool {
        match self.phase() {
            Phase::Serving => true,
            Phase::Propagating => self
                .share()
                .as_mut()
                .is_none_or(|share| share.admits(now())),
            Phase::Draining | Phase::Cut => false,
        }
    }

    /// Counts a request in; dropping the guard counts it out. A request whose edge listens to this very drain need not do so
    /// itself: whoever polls it is woken.
    pub fn enter(&self, heard: Option<DrainId>) -> Inside {
        self.0.inside.fetch_add(1, Ordering::AcqRel);
        Inside {
            drain: self.clone(),
            listener: (heard != Some(self.id())).then(|| Box::new(self.listen())),
            cut: false,
        }
    }

    /// Which drain this is.
    pub fn id(&self) -> DrainId {
        DrainId(Arc::as_ptr(&self.0) as usize)
    }

    /// Requests inside now.
    pub fn inside(&self) -> u64 {
        self.0.inside.load(Ordering::Acquire)
    }

    /// Requests that were ended by the deadline.
    pub fn cut(&self) -> u64 {
        self.0.cut.load(Ordering::Acquire)
    }

    /// Requests that finished after the shutdown began.
    pub fn completed(&self) -> u64 {
        self.0.completed.load(Ordering::Acquire)
    }

    /// Starts to listen for changes of the phase.
    pub fn listen(&self) -> Listener {
        Listener {
            drain: self.clone(),
            place: None,
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.0
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn share(&self) -> MutexGuard<'_, Option<Share>> {
        self.0.ramp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("phase", &self.phase())
            .field("inside", &self.inside())
            .finish_non_exhaustive()
    }
}

impl Share {
    fn admits(&mut self, now: Instant) -> bool {
        self.owed += self.ramp.refused(now);
        let refused = self.owed >= 1.0;
        if refused {
            self.owed -= 1.0;
        }
        !refused
    }
}

/// A request that is inside; see [`Drain::enter`].
#[derive(Debug)]
pub struct Inside {
    drain: Drain,
    /// Boxed: most requests have none, and each is handed through every layer above.
    listener: Option<Box<Listener>>,
    cut: bool,
}

impl Inside {
    /// Whether the deadline has passed.
    pub fn is_at_deadline(&self) -> bool {
        self.drain.phase() == Phase::Cut
    }

    /// The phase now; a change of it polls the request again.
    pub fn poll_phase(&mut self, cx: &mut Context<'_>) -> Phase {
        match &mut self.listener {
            Some(listener) => listener.poll_phase(cx),
            None => self.drain.phase(),
        }
    }

    /// Notes that the deadline ended this request.
    pub fn mark_cut(&mut self) {
        self.cut = true;
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let shared = &self.drain.0;
        if self.cut {
            shared.cut.fetch_add(1, Ordering::AcqRel);
        } else if self.drain.phase() > Phase::Serving {
            shared.completed.fetch_add(1, Ordering::AcqRel);
        }
        shared.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A place in the list of those who hear of changes; see [`Drain::listen`].
#[derive(Debug)]
pub struct Listener {
    drain: Drain,
    /// Where in the list, and who is told there.
    place: Option<(usize, Waker)>,
}

impl Listener {
    /// The phase now; the waker of `cx` is told when it changes.
    pub fn poll_phase(&mut self, cx: &mut Context<'_>) -> Phase {
        let told = |(_, waker): &(usize, Waker)| waker.will_wake(cx.waker());
        if !self.place.as_ref().is_some_and(told) {
            self.take_place(cx.waker());
        }
        // Read after the waker is in place: a change in between would otherwise be missed.
        self.drain.phase()
    }

    fn take_place(&mut self, waker: &Waker) {
        let mut listeners = self.drain.listeners();
        let key = match &self.place {
            Some((key, _)) => {
                listeners[*key] = waker.clone();
                *key
            }
            None => listeners.insert(waker.clone()),
        };
        drop(listeners);
        self.place = Some((key, waker.clone()));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((key, _)) = self.place {
            self.drain.listeners().remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use futures_test::task::new_count_waker;

    #[test]
    fn phases_never_go_back_and_wake_listeners() {
        let drain = Drain::default();
        let (waker, woken) = new_count_waker();
        let mut listener = drain.listen();
        assert_eq!(
            listener.poll_phase(&mut Context::from_waker(&waker)),
            Phase::Serving
        );
        drain.advance(Phase::Draining);
        assert_eq!(woken.get(), 1);
        drain.advance(Phase::Propagating);
        assert_eq!(
            listener.poll_phase(&mut Context::from_waker(&waker)),
            Phase::Draining
        );
    }

    #[test]
    fn who_is_heard_by_its_edge_does_not_listen_itself() {
        let (drain, other) = (Drain::default(), Drain::default());
        let (waker, woken) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        let mut heard = drain.enter(Some(drain.id()));
        assert_eq!(heard.poll_phase(&mut cx), Phase::Serving);
        assert!(drain.listeners().is_empty());
        for stranger in [None, Some(other.id())] {
            let mut alone = drain.enter(stranger);
            assert_eq!(alone.poll_phase(&mut cx), Phase::Serving);
            assert_eq!(drain.listeners().len(), 1);
        }
        assert!(drain.listeners().is_empty(), "who leaves is not told");
        drain.advance(Phase::Cut);
        assert_eq!(woken.get(), 0);
        assert_eq!(heard.poll_phase(&mut cx), Phase::Cut);
    }

    #[test]
    fn the_last_waker_is_the_one_that_is_told() {
        let drain = Drain::default();
        let mut listener = drain.listen();
        let ((first, of_first), (second, of_second)) = (new_count_waker(), new_count_waker());
        for waker in [&first, &first, &second, &second] {
            listener.poll_phase(&mut Context::from_waker(waker));
        }
        drain.advance(Phase::Propagating);
        drain.advance(Phase::Draining);
        assert_eq!((of_first.get(), of_second.get()), (0, 2));
    }

    #[test]
    fn the_ramp_refuses_a_growing_share() {
        let drain = Drain::default();
        let start = Instant::now();
        drain.advance(Phase::Propagating);
        drain.ramp(Ramp {
            from: start,
            over: Duration::from_secs(4),
        });
        let refused_in = |second: u64| {
            (0..100)
                .filter(|i| !drain.admits(|| start + Duration::from_millis(second * 1000 + i * 10)))
                .count()
        };
        let shares: Vec<usize> = (0..5).map(refused_in).collect();
        assert!(
            shares.windows(2).all(|pair| pair[0] < pair[1]),
            "{shares:?}"
        );
        assert!((10..=15).contains(&shares[0]), "{shares:?}");
        assert_eq!(shares[4], 100);
    }

    #[test]
    fn requests_are_counted_until_they_leave() {
        let drain = Drain::default();
        let first = drain.enter(None);
        let mut second = drain.enter(Some(drain.id()));
        assert_eq!(drain.inside(), 2);
        drain.advance(Phase::Draining);
        drop(first);
        second.mark_cut();
        drop(second);
        assert_eq!((drain.inside(), drain.completed(), drain.cut()), (0, 1, 1));
    }
}
