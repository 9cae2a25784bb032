//! Every interleaving of a few threads, by loom: `scripts/loom concurrency`.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Place, Priority, Refusal, Slots, Ticket};

fn come(slots: &Arc<Slots>) -> Result<Place, Ticket> {
    slots.enter(Priority::Normal).expect("room in the queue")
}

fn poll(ticket: &mut Ticket) -> Poll<Result<Place, Refusal>> {
    ticket.poll(&mut Context::from_waker(Waker::noop()))
}

/// Nobody is inside and nobody waits, so the next one enters at once.
fn is_as_new(slots: &Arc<Slots>) {
    assert_eq!((slots.inside(), slots.waiting()), (0, 0));
    assert!(come(slots).is_ok());
}

#[test]
fn no_interleaving_lets_more_in_than_there_are_places() {
    loom::model(|| {
        let slots = Slots::new(1, 4);
        let guests: Vec<_> = (0..2)
            .map(|_| {
                let slots = slots.clone();
                loom::thread::spawn(move || {
                    let mine = come(&slots);
                    if mine.is_ok() {
                        assert_eq!(slots.inside(), 1);
                    }
                })
            })
            .collect();
        for guest in guests {
            guest.join().unwrap();
        }
        is_as_new(&slots);
    });
}

#[test]
fn a_place_that_comes_back_reaches_whoever_came_meanwhile() {
    loom::model(|| {
        let slots = Slots::new(1, 4);
        let place = come(&slots).expect("it is empty");
        let leaving = loom::thread::spawn(move || drop(place));
        let mine = come(&slots);
        leaving.join().unwrap();
        match mine {
            Ok(place) => drop(place),
            Err(mut ticket) => match poll(&mut ticket) {
                Poll::Ready(Ok(place)) => drop(place),
                other => panic!("the place is lost: {other:?}"),
            },
        }
        is_as_new(&slots);
    });
}

#[test]
fn a_ticket_that_is_torn_up_as_its_turn_comes_loses_no_place() {
    loom::model(|| {
        let slots = Slots::new(1, 4);
        let place = come(&slots).expect("it is empty");
        let first = come(&slots).expect_err("it is full");
        let mut second = come(&slots).expect_err("it is full");
        let leaving = loom::thread::spawn(move || drop(place));
        drop(first);
        leaving.join().unwrap();
        match poll(&mut second) {
            Poll::Ready(Ok(place)) => drop(place),
            other => panic!("the place is lost: {other:?}"),
        }
        is_as_new(&slots);
    });
}

#[test]
fn more_places_are_given_to_whoever_waits_once() {
    loom::model(|| {
        let slots = Slots::new(1, 4);
        let place = come(&slots).expect("it is empty");
        let mut waiting = come(&slots).expect_err("it is full");
        let other = slots.clone();
        let growing = loom::thread::spawn(move || other.set_limit(2));
        drop(place);
        growing.join().unwrap();
        match poll(&mut waiting) {
            Poll::Ready(Ok(place)) => drop(place),
            other => panic!("the place is lost: {other:?}"),
        }
        is_as_new(&slots);
    });
}
