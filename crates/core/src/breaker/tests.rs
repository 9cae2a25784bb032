//! The breaker as its users see it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use super::{Breaker, Cause, Change, Mode, Permit, Refused, Rules, Slow, State, Steer};
use crate::clock::Moment;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Moment {
    Moment(0).after(Duration::from_secs(seconds))
}

fn breaker(rules: Rules) -> Arc<Breaker> {
    Arc::new(Breaker::new(rules, 1))
}

fn call(breaker: &Arc<Breaker>, now: Moment) -> Result<Permit, Refused> {
    breaker.acquire(|| now)
}

fn fail(breaker: &Arc<Breaker>, now: Moment) {
    call(breaker, now).expect("closed").failure(|| now);
}

fn succeed(breaker: &Arc<Breaker>, now: Moment) {
    call(breaker, now).expect("closed").success(|| now);
}

#[test]
fn five_failures_in_a_row_open_it_for_a_minute_and_a_probe_closes_it() {
    let breaker = breaker(Rules::default());
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..4 {
        fail(&breaker, at(1));
    }
    assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 4));
    succeed(&breaker, at(1));
    assert_eq!(breaker.failures(), 0);
    for _ in 0..5 {
        fail(&breaker, at(2));
    }
    assert_eq!((breaker.state(), breaker.failures()), (State::Open, 5));
    assert!(breaker.would_refuse(|| at(61)));
    let refused = call(&breaker, at(32)).unwrap_err();
    assert_eq!(refused.after, Some(30 * SECOND));
    assert_eq!(breaker.show(at(32)).until, Some(at(62)));
    assert_eq!(breaker.show(at(62)).state, State::HalfOpen);
    assert!(!breaker.would_refuse(|| at(62)));
    let probe = call(&breaker, at(62)).unwrap();
    assert!(probe.is_probe());
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(call(&breaker, at(62)).unwrap_err().after <= Some(SECOND));
    probe.success(|| at(63));
    assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 0));
    assert_eq!((breaker.failed(), breaker.refused()), (9, 2));
}

#[test]
fn a_rate_needs_its_least_calls_and_looks_back_a_window() {
    let rules = Rules {
        mode: Mode::Rate { threshold: 0.5 },
        min_calls: 10,
        ..Rules::default()
    };
    let breaker = breaker(rules);
    for second in 0..9 {
        fail(&breaker, at(second));
    }
    assert_eq!(breaker.state(), State::Closed);
    // All but one of them lie behind the window by now.
    succeed(&breaker, at(38));
    assert_eq!(breaker.state(), State::Closed);
    let breaker = self::breaker(rules);
    for _ in 0..5 {
        succeed(&breaker, at(1));
        fail(&breaker, at(1));
    }
    assert_eq!((breaker.state(), breaker.failures()), (State::Open, 5));
}

#[test]
fn a_count_bears_successes_in_between() {
    let rules = Rules {
        mode: Mode::Count { failures: 3 },
        ..Rules::default()
    };
    let breaker = breaker(rules);
    for _ in 0..2 {
        fail(&breaker, at(1));
        succeed(&breaker, at(2));
    }
    assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 2));
    fail(&breaker, at(3));
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn slow_calls_open_it_only_when_asked_to_and_a_slow_probe_has_failed() {
    let slow = |slow| Rules {
        min_calls: 2,
        slow,
        ..Rules::default()
    };
    let late = |breaker: &Arc<Breaker>, begin, end| {
        call(breaker, at(begin)).unwrap().success(|| at(end));
    };
    let indifferent = breaker(slow(None));
    let wary = breaker(slow(Some(Slow {
        after: 3 * SECOND,
        threshold: 1.0,
    })));
    for breaker in [&indifferent, &wary] {
        late(breaker, 0, 9);
        late(breaker, 0, 9);
    }
    assert_eq!(indifferent.state(), State::Closed);
    assert_eq!(wary.state(), State::Open);
    late(&wary, 69, 72);
    assert_eq!(wary.state(), State::Open);
    late(&wary, 132, 133);
    assert_eq!(wary.state(), State::Closed);
}

#[test]
fn a_call_that_is_given_up_is_neither_a_success_nor_a_failure() {
    let breaker = breaker(Rules::default());
    for _ in 0..100 {
        drop(call(&breaker, at(1)).unwrap());
    }
    assert_eq!((breaker.state(), breaker.failed()), (State::Closed, 0));
    (0..5).for_each(|_| fail(&breaker, at(1)));
    // Neither does it close a half-open breaker, nor does it keep the place of another probe.
    drop(call(&breaker, at(61)).unwrap());
    assert_eq!(breaker.state(), State::HalfOpen);
    let next = call(&breaker, at(61)).unwrap();
    assert!(next.is_probe());
    next.success(|| at(61));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn probes_that_never_end_are_replaced_after_the_deadline() {
    let breaker = breaker(Rules::default());
    (0..5).for_each(|_| fail(&breaker, at(0)));
    let lost = call(&breaker, at(60)).unwrap();
    assert!(call(&breaker, at(179)).is_err());
    let second = call(&breaker, at(180)).unwrap();
    assert!(second.is_probe());
    // What the lost one came to after all says nothing any more.
    lost.failure(|| at(181));
    assert_eq!(breaker.state(), State::HalfOpen);
    second.success(|| at(182));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn what_comes_late_from_an_earlier_state_is_ignored() {
    let breaker = breaker(Rules::default());
    let late: Vec<Permit> = (0..10).map(|_| call(&breaker, at(0)).unwrap()).collect();
    (0..5).for_each(|_| fail(&breaker, at(1)));
    let probe = call(&breaker, at(61)).unwrap();
    for permit in late {
        permit.failure(|| at(61));
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success(|| at(61));
    assert_eq!(breaker.state(), State::Closed);
    // All of them failed, and are counted where nothing is decided.
    assert_eq!(breaker.failed(), 15);
}

#[test]
fn somebody_can_hold_it_open_or_closed_and_begin_again() {
    let breaker = breaker(Rules::default());
    breaker.steer(Steer::ForceOpen, at(0));
    assert_eq!(call(&breaker, at(9)).unwrap_err().after, None);
    assert!(breaker.would_refuse(|| at(9_999)));
    breaker.steer(Steer::ForceClosed, at(1));
    (0..50).for_each(|_| fail(&breaker, at(1)));
    assert_eq!(breaker.state(), State::ForcedClosed);
    breaker.steer(Steer::Disable, at(1));
    (0..50).for_each(|_| fail(&breaker, at(1)));
    assert_eq!(breaker.state(), State::Disabled);
    breaker.steer(Steer::Reset, at(2));
    assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 0));
    (0..5).for_each(|_| fail(&breaker, at(2)));
    assert_eq!(breaker.state(), State::Open);
    breaker.steer(Steer::Reset, at(3));
    succeed(&breaker, at(3));
}

#[test]
fn other_figures_keep_the_state_and_the_count() {
    let breaker = breaker(Rules::default());
    (0..3).for_each(|_| fail(&breaker, at(0)));
    breaker.adjust(Rules {
        mode: Mode::Consecutive { failures: 4 },
        ..Rules::default()
    });
    assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 3));
    fail(&breaker, at(0));
    assert_eq!(breaker.state(), State::Open);
    breaker.adjust(Rules::default());
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn changes_are_told_with_their_cause() {
    let told: Arc<Mutex<Vec<Change>>> = Arc::default();
    let list = told.clone();
    let watch = move |change: &Change| list.lock().unwrap().push(*change);
    let breaker = Arc::new(Breaker::new(Rules::default(), 1).watched(watch));
    (0..5).for_each(|_| fail(&breaker, at(0)));
    fail(&breaker, at(60));
    succeed(&breaker, at(120));
    let told = told.lock().unwrap();
    let words: Vec<(State, String)> = told
        .iter()
        .map(|change| (change.to, change.cause.to_string()))
        .collect();
    let expected = [
        (State::Open, "5 calls in a row failed"),
        (State::HalfOpen, "the open time is over"),
        (State::Open, "a probe failed"),
        (State::HalfOpen, "the open time is over"),
        (State::Closed, "the probe succeeded"),
    ];
    assert_eq!(
        words,
        expected.map(|(state, word)| (state, word.to_owned()))
    );
    assert_eq!(told[0].lasts, Some(60 * SECOND));
    assert_eq!(told[0].cause, Cause::InARow { failures: 5 });
    assert!(
        told.windows(2)
            .all(|two| two[0].generation < two[1].generation)
    );
}

#[test]
fn exactly_so_many_probes_pass_under_a_crowd() {
    for probes in [1, 3, 10] {
        let rules = Rules {
            probes,
            ..Rules::default()
        };
        let breaker = breaker(rules);
        (0..5).for_each(|_| fail(&breaker, at(0)));
        let barrier = Barrier::new(16);
        let passed = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    barrier.wait();
                    let permits: Vec<Permit> = (0..100)
                        .filter_map(|_| call(&breaker, at(60)).ok())
                        .collect();
                    passed.fetch_add(permits.len(), Ordering::Relaxed);
                    // They end after all have asked, so none of them makes room for another.
                    barrier.wait();
                    drop(permits);
                });
            }
        });
        assert_eq!(passed.into_inner(), probes as usize);
    }
}
