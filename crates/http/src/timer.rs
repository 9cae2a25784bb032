//! Timers with a price that a proxy can pay on every request.
//!
//! A tokio timer costs about 700 instructions; a request that arms three of them would spend more on clocks than on
//! parsing. The deadlines of a proxy are seconds long, so they are kept in a slab that one task per worker sweeps every
//! [`TICK`]: arming one is a slot in a vector. Layers are generic over [`Timer`], so that a service on a work-stealing
//! runtime, where a thread's slab would be the wrong one after a move, uses [`TokioTimer`] instead.
//!
//! It will not fire early, and may fire up to two ticks late. Anything that needs better precision uses tokio's own.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;

/// How often a [`SweepTimer`] looks for expired deadlines.
pub const TICK: Duration = Duration::from_millis(25);
/// Ticks in a second.
const PER_SECOND: u64 = 1_000_000_000 / TICK.subsec_nanos() as u64;

/// A source of sleeps.
pub trait Timer: Clone {
    /// Completes when the time is over; dropping it disarms it.
    type Sleep: Future<Output = ()>;

    /// Starts a sleep of `duration` from now.
    fn sleep(&self, duration: Duration) -> Self::Sleep;
}

/// Sleeps on tokio's timer wheel: precise, and right on any runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    type Sleep = tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        tokio::time::sleep(duration)
    }
}

/// Coarse sleeps for one thread. [`SweepTimer::drive`] has to run on that thread.
#[derive(Clone, Default)]
pub struct SweepTimer(Rc<Sweep>);

#[derive(Default)]
struct Sweep {
    /// Ticks since the timer was made; a `u32` of 25 ms ticks lasts three years of uptime, and arithmetic wraps.
    tick: Cell<u32>,
    slots: RefCell<Slab<Slot>>,
}

struct Slot {
    due: u32,
    fired: bool,
    waker: Option<Waker>,
}

impl SweepTimer {
    /// Advances the timer for ever. Spawn it once on the worker's own thread.
    pub async fn drive(self) {
        let mut last = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(TICK).await;
            let now = tokio::time::Instant::now();
            // A worker that was kept busy counts every tick it missed, so that deadlines do not stretch under load.
            let missed =
                u32::try_from((now - last).as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
            last = now;
            self.advance(missed.max(1));
        }
    }

    fn advance(&self, ticks: u32) {
        let tick = self.0.tick.get().wrapping_add(ticks);
        self.0.tick.set(tick);
        let mut due = Vec::new();
        for (_, slot) in self.0.slots.borrow_mut().iter_mut() {
            if !slot.fired && is_due(slot.due, tick) {
                slot.fired = true;
                due.extend(slot.waker.take());
            }
        }
        for waker in due {
            waker.wake();
        }
    }

    /// When `duration` will be over.
    pub fn due(&self, duration: Duration) -> Due {
        Due(self.due_in(duration))
    }

    /// Whether that time has come.
    pub fn is_past(&self, due: Due) -> bool {
        is_due(due.0, self.0.tick.get())
    }

    fn due_in(&self, duration: Duration) -> u32 {
        // In 64 bits: a request asks three times, and dividing 128 of them costs more than all the rest.
        let whole = duration.as_secs().saturating_mul(PER_SECOND);
        let part = u64::from(duration.subsec_nanos().div_ceil(TICK.subsec_nanos()));
        // Half the range stays free, or a far deadline would look like one that has passed.
        let ticks = whole.saturating_add(part + 1).min(u64::from(u32::MAX / 2));
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX / 2);
        self.0.tick.get().wrapping_add(ticks)
    }

    /// Makes an alarm that is set and set again without being made anew.
    pub fn alarm(&self) -> Alarm {
        Alarm {
            timer: self.clone(),
            key: None,
            due: None,
        }
    }
}

/// A coarse point in time to come, which costs no clock reading.
#[derive(Clone, Copy, Debug)]
pub struct Due(u32);

/// A coarse point in time, which costs no clock reading.
#[derive(Clone, Copy, Debug)]
pub struct Stamp(u32);

impl SweepTimer {
    /// Now, to the tick.
    pub fn stamp(&self) -> Stamp {
        Stamp(self.0.tick.get())
    }

    /// How long ago `stamp` was, rounded up.
    pub fn age(&self, stamp: Stamp) -> Duration {
        TICK * self.0.tick.get().wrapping_sub(stamp.0).saturating_add(1)
    }
}

impl fmt::Debug for SweepTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SweepTimer")
            .field("tick", &self.0.tick.get())
            .finish_non_exhaustive()
    }
}

fn is_due(due: u32, tick: u32) -> bool {
    tick.wrapping_sub(due) <= u32::MAX / 2
}

impl Timer for SweepTimer {
    type Sleep = Alarm;

    fn sleep(&self, duration: Duration) -> Alarm {
        let mut alarm = self.alarm();
        alarm.set(duration);
        alarm
    }
}

/// A coarse sleep that can be set again; see [`SweepTimer::alarm`].
pub struct Alarm {
    timer: SweepTimer,
    key: Option<usize>,
    due: Option<u32>,
}

impl Alarm {
    /// Lets the alarm go off `duration` from now, whatever it was set to before.
    pub fn set(&mut self, duration: Duration) {
        let due = self.timer.due_in(duration);
        self.due = Some(due);
        if let Some(key) = self.key {
            let slot = &mut self.timer.0.slots.borrow_mut()[key];
            slot.due = due;
            slot.fired = false;
        }
    }

    /// Silences the alarm until it is set again.
    pub fn clear(&mut self) {
        self.due = None;
    }

    /// Whether the alarm is set and its time has passed.
    pub fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        if is_due(due, self.timer.0.tick.get()) {
            return Poll::Ready(());
        }
        let mut slots = self.timer.0.slots.borrow_mut();
        match self.key {
            Some(key) => {
                let slot = &mut slots[key];
                if !slot
                    .waker
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(cx.waker()))
                {
                    slot.waker = Some(cx.waker().clone());
                }
            }
            None => {
                self.key = Some(slots.insert(Slot {
                    due,
                    fired: false,
                    waker: Some(cx.waker().clone()),
                }))
            }
        }
        Poll::Pending
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().poll_due(cx)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.timer.0.slots.borrow_mut().remove(key);
        }
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_test::task::new_count_waker;

    fn poll(alarm: &mut Alarm, cx: &mut Context<'_>) -> bool {
        alarm.poll_due(cx).is_ready()
    }

    #[test]
    fn fires_after_its_time_and_never_before() {
        let timer = SweepTimer::default();
        let (waker, woken) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        let mut alarm = timer.sleep(TICK * 4);
        assert!(!poll(&mut alarm, &mut cx));
        timer.advance(4);
        assert!(
            !poll(&mut alarm, &mut cx),
            "a tick that was half over must not count"
        );
        timer.advance(1);
        assert_eq!(woken.get(), 1);
        assert!(poll(&mut alarm, &mut cx));
    }

    #[test]
    fn a_duration_is_rounded_up_to_ticks_and_one_more() {
        let timer = SweepTimer::default();
        for (duration, ticks) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 2),
            (TICK, 2),
            (TICK + Duration::from_nanos(1), 3),
            (Duration::from_secs(1), 41),
            (Duration::from_millis(1499), 61),
            (Duration::MAX, u32::MAX / 2),
        ] {
            assert_eq!(timer.due(duration).0, ticks, "{duration:?}");
        }
    }

    #[test]
    fn setting_it_again_postpones_it() {
        let timer = SweepTimer::default();
        let (waker, woken) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        let mut alarm = timer.sleep(TICK * 2);
        assert!(!poll(&mut alarm, &mut cx));
        timer.advance(2);
        alarm.set(TICK * 2);
        timer.advance(2);
        assert!(!poll(&mut alarm, &mut cx));
        timer.advance(1);
        assert!(poll(&mut alarm, &mut cx));
        assert_eq!(woken.get(), 1);
    }

    #[test]
    fn survives_the_wrap_of_the_tick_counter() {
        let timer = SweepTimer::default();
        timer.0.tick.set(u32::MAX - 1);
        let (waker, _) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        let mut alarm = timer.sleep(TICK * 8);
        assert!(!poll(&mut alarm, &mut cx));
        timer.advance(9);
        assert!(poll(&mut alarm, &mut cx));
    }

    #[test]
    fn a_dropped_alarm_leaves_no_slot() {
        let timer = SweepTimer::default();
        let (waker, _) = new_count_waker();
        let mut cx = Context::from_waker(&waker);
        let mut alarm = timer.sleep(TICK);
        assert!(!poll(&mut alarm, &mut cx));
        assert_eq!(timer.0.slots.borrow().len(), 1);
        drop(alarm);
        assert!(timer.0.slots.borrow().is_empty());
    }
}
