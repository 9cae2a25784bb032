//! Places and limits against what they promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Moment;

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn look(ticket: &mut Ticket) -> Poll<Result<Place, Refusal>> {
    ticket.poll(&mut Context::from_waker(Waker::noop()))
}

fn place(slots: &Arc<Slots>) -> Place {
    slots.enter(Priority::Normal).unwrap().unwrap()
}

fn ticket(slots: &Arc<Slots>, priority: Priority) -> Ticket {
    slots.enter(priority).unwrap().unwrap_err()
}

#[test]
fn who_comes_when_all_places_are_taken_waits_for_the_next() {
    let slots = Slots::new(1, 1);
    let first = place(&slots);
    let woken = Arc::new(Woken::default());
    let mut second = ticket(&slots, Priority::Normal);
    let waker = woken.clone().into();
    assert!(second.poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(matches!(slots.enter(Priority::Normal), Err(Refusal::Full)));
    drop(first);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    let Poll::Ready(Ok(second)) = look(&mut second) else {
        panic!("no place");
    };
    assert_eq!((slots.inside(), slots.waiting()), (1, 0));
    drop(second);
    assert_eq!(slots.inside(), 0);
}

#[test]
fn a_ticket_that_is_torn_up_passes_its_place_on() {
    let slots = Slots::new(1, 2);
    let first = place(&slots);
    let second = ticket(&slots, Priority::Normal);
    let mut third = ticket(&slots, Priority::Normal);
    drop(first);
    // The second was called and has not looked.
    drop(second);
    assert!(matches!(look(&mut third), Poll::Ready(Ok(_))));
    drop(third);
    assert_eq!((slots.inside(), slots.waiting()), (0, 0));
    let first = place(&slots);
    drop(ticket(&slots, Priority::Normal));
    assert_eq!(slots.waiting(), 0, "one that leaves makes room");
    drop(first);
}

#[test]
fn what_matters_more_goes_first_and_pushes_the_least_out() {
    let slots = Slots::new(1, 3);
    let first = place(&slots);
    let mut low = ticket(&slots, Priority::Low);
    let mut normal = ticket(&slots, Priority::Normal);
    let mut high = ticket(&slots, Priority::High);
    assert!(matches!(slots.enter(Priority::Low), Err(Refusal::Full)));
    let mut critical = ticket(&slots, Priority::Critical);
    assert!(matches!(
        look(&mut low),
        Poll::Ready(Err(Refusal::Displaced))
    ));
    drop(first);
    for expected in [&mut critical, &mut high, &mut normal] {
        let Poll::Ready(Ok(place)) = look(expected) else {
            panic!("not its turn");
        };
        drop(place);
    }
    assert_eq!((slots.inside(), slots.waiting()), (0, 0));
}

#[test]
fn more_places_are_handed_out_at_once_and_fewer_take_nobodys() {
    let slots = Slots::new(1, 10);
    let first = place(&slots);
    let mut waiting: Vec<Ticket> = (0..3).map(|_| ticket(&slots, Priority::Normal)).collect();
    slots.set_limit(3);
    let inside: Vec<Place> = waiting
        .iter_mut()
        .filter_map(|ticket| match look(ticket) {
            Poll::Ready(Ok(place)) => Some(place),
            _ => None,
        })
        .collect();
    assert_eq!(inside.len(), 2);
    slots.set_limit(1);
    drop(first);
    assert!(look(&mut waiting[2]).is_pending(), "two are still inside");
    drop(inside);
    assert!(look(&mut waiting[2]).is_ready());
}

#[test]
fn threads_never_exceed_the_limit_and_leave_nothing_behind() {
    let slots = Slots::new(4, 64);
    let most = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let (slots, most) = (&slots, &most);
            scope.spawn(move || {
                for round in 0..2_000 {
                    let held = match slots.enter(Priority::Normal) {
                        Ok(Ok(place)) => Some(place),
                        // Some are torn up at once, others looked at first.
                        Ok(Err(mut ticket)) if (round + thread) % 3 != 0 => match look(&mut ticket)
                        {
                            Poll::Ready(Ok(place)) => Some(place),
                            _ => None,
                        },
                        _ => None,
                    };
                    if held.is_some() {
                        most.fetch_max(slots.inside(), Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 4);
    assert_eq!((slots.inside(), slots.waiting()), (0, 0));
}

/// A service with so many places of its own, each taken for 20 ms: what answers take when `inside` are inside.
fn service(places: u32, inside: u32) -> Duration {
    let rounds = f64::from(inside.max(1)) / f64::from(places);
    Duration::from_millis(20).mul_f64(rounds.max(1.0))
}

/// Runs an overloaded service under the limit for `windows` windows; the limit in the end.
fn overload(adaptive: &mut Adaptive, places: u32, windows: u32, now: &mut Moment) -> u32 {
    for _ in 0..windows {
        let inside = adaptive.limit();
        let time = service(places, inside);
        for _ in 0..60 {
            *now = now.after(Duration::from_millis(10));
            adaptive.take_in(Sample::Answered(time), inside, *now);
        }
    }
    adaptive.limit()
}

const BOUNDS: Bounds = Bounds {
    initial: 20,
    least: 1,
    most: 1_000,
};

#[test]
fn the_limit_settles_near_what_the_service_can_do() {
    for places in [5, 20, 100] {
        let mut adaptive = Adaptive::new(BOUNDS);
        let mut now = Moment(0);
        // A quiet time first: it shows what answers take.
        for _ in 0..120 {
            now = now.after(Duration::from_millis(10));
            adaptive.take_in(Sample::Answered(service(places, 1)), 1, now);
        }
        let limit = overload(&mut adaptive, places, 200, &mut now);
        assert!(
            (places..=places * 3).contains(&limit),
            "{limit} for {places} places"
        );
    }
}

#[test]
fn late_answers_shrink_it_however_alike_they_are() {
    let mut adaptive = Adaptive::new(BOUNDS);
    let mut now = Moment(0);
    for _ in 0..10_000 {
        now = now.after(Duration::from_millis(100));
        adaptive.take_in(Sample::Dropped, 20, now);
    }
    assert_eq!(adaptive.limit(), 1);
}

#[test]
fn it_does_not_grow_while_nobody_uses_it() {
    let mut adaptive = Adaptive::new(BOUNDS);
    let mut now = Moment(0);
    for _ in 0..10_000 {
        now = now.after(Duration::from_millis(10));
        adaptive.take_in(Sample::Answered(Duration::from_millis(20)), 2, now);
    }
    assert_eq!(adaptive.limit(), 20);
}

#[test]
fn a_service_that_became_slower_for_good_is_learnt_in_quiet_times() {
    let mut adaptive = Adaptive::new(BOUNDS);
    let mut now = Moment(0);
    overload(&mut adaptive, 20, 50, &mut now);
    for _ in 0..20_000 {
        now = now.after(Duration::from_millis(10));
        adaptive.take_in(Sample::Answered(Duration::from_millis(80)), 1, now);
    }
    let limit = adaptive.limit();
    for _ in 0..6_000 {
        now = now.after(Duration::from_millis(10));
        let inside = adaptive.limit();
        adaptive.take_in(Sample::Answered(Duration::from_millis(80)), inside, now);
    }
    assert!(adaptive.limit() > limit, "80 ms are usual now");
}

proptest! {
    #[test]
    fn the_limit_stays_within_its_bounds(
        samples in prop::collection::vec((prop::option::of(0_u64..10_000), 0_u32..2_000, 0_u64..2_000), 1..500),
        least in 0_u32..20, initial in 0_u32..2_000, most in 0_u32..500,
    ) {
        let mut adaptive = Adaptive::new(Bounds { initial, least, most });
        let mut now = Moment(0);
        for (time, inside, step) in samples {
            now = now.after(Duration::from_millis(step));
            let sample = time.map_or(Sample::Dropped, |time| Sample::Answered(Duration::from_millis(time)));
            adaptive.take_in(sample, inside, now);
            let least = least.max(1);
            prop_assert!((least..=most.max(least)).contains(&adaptive.limit()));
        }
    }

    /// Any order of coming, looking, leaving and changing the limit.
    #[test]
    fn no_place_is_ever_lost_or_invented(steps in prop::collection::vec((0_u8..5, 0_usize..8, 0_usize..4), 1..300)) {
        let slots = Slots::new(2, 3);
        let (mut places, mut tickets): (Vec<Place>, Vec<Ticket>) = (Vec::new(), Vec::new());
        for (step, which, priority) in steps {
            match step {
                0 => match slots.enter(Priority::ALL[priority]) {
                    Ok(Ok(place)) => places.push(place),
                    Ok(Err(ticket)) => tickets.push(ticket),
                    Err(_) => {}
                },
                1 if which < places.len() => drop(places.swap_remove(which)),
                2 if which < tickets.len() => drop(tickets.swap_remove(which)),
                3 if which < tickets.len() => match look(&mut tickets[which]) {
                    Poll::Ready(Ok(place)) => {
                        drop(tickets.swap_remove(which));
                        places.push(place);
                    }
                    Poll::Ready(Err(_)) => drop(tickets.swap_remove(which)),
                    Poll::Pending => {}
                },
                4 => {
                    slots.set_limit(u32::try_from(which).unwrap_or(1));
                }
                _ => {}
            }
            prop_assert!(slots.waiting() <= 3);
            prop_assert!(usize::try_from(slots.inside()).unwrap_or_default() >= places.len());
        }
        tickets.clear();
        places.clear();
        prop_assert_eq!((slots.inside(), slots.waiting()), (0, 0));
    }
}
