//! Every interleaving of a few threads, by loom: `RUSTFLAGS="--cfg loom" cargo test -p seaworthy-core --lib breaker`.

use std::sync::Arc;
use std::time::Duration;

use super::{Breaker, Mode, Rules, State};
use crate::clock::Moment;

const LATER: Moment = Moment(100_000_000_000);

fn opened(probes: u32) -> Arc<Breaker> {
    let rules = Rules {
        mode: Mode::Consecutive { failures: 1 },
        probes,
        half_open: Duration::from_secs(1_000),
        ..Rules::default()
    };
    let breaker = Arc::new(Breaker::new(rules, 1));
    let permit = breaker.acquire(|| Moment(0)).expect("closed");
    permit.failure(|| Moment(0));
    assert_eq!(breaker.state(), State::Open);
    breaker
}

#[test]
fn no_interleaving_lets_more_probes_through() {
    loom::model(|| {
        let breaker = opened(1);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let breaker = breaker.clone();
                loom::thread::spawn(move || breaker.acquire(|| LATER).ok())
            })
            .collect();
        let own = breaker.acquire(|| LATER).ok();
        let others = callers.into_iter().map(|caller| caller.join().unwrap());
        let permits: Vec<_> = others.chain([own]).flatten().collect();
        assert_eq!(permits.len(), 1);
        assert_eq!(breaker.state(), State::HalfOpen);
    });
}

#[test]
fn a_dropped_probe_makes_room_for_exactly_one_other() {
    loom::model(|| {
        let breaker = opened(1);
        let probe = breaker.acquire(|| LATER).expect("the probe");
        let dropper = loom::thread::spawn(move || drop(probe));
        let first = breaker.acquire(|| LATER).ok();
        dropper.join().unwrap();
        let second = breaker.acquire(|| LATER).ok();
        assert_eq!(
            usize::from(first.is_some()) + usize::from(second.is_some()),
            1
        );
    });
}

#[test]
fn a_failed_and_a_succeeded_probe_end_open_whatever_their_order() {
    loom::model(|| {
        let breaker = opened(2);
        let good = breaker.acquire(|| LATER).expect("the first");
        let bad = breaker.acquire(|| LATER).expect("the second");
        let one = loom::thread::spawn(move || good.success(|| LATER));
        bad.failure(|| LATER);
        one.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
        assert!(breaker.would_refuse(|| LATER));
    });
}

#[test]
fn a_late_success_never_forgets_failures_of_a_later_state() {
    loom::model(|| {
        let breaker = opened(1);
        let probe = breaker.acquire(|| LATER).expect("the probe");
        let other = breaker.clone();
        let closer = loom::thread::spawn(move || probe.success(|| LATER));
        let caller = other.acquire(|| LATER).ok();
        closer.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
        // Let through, if at all, by the closed breaker: its failure opens it.
        if let Some(permit) = caller {
            assert!(!permit.is_probe());
            permit.failure(|| LATER);
            assert_eq!(breaker.state(), State::Open);
        }
    });
}
