//! Decisions against exact references, over random schedules.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Moment;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn at(millis: u64) -> Moment {
    Moment(millis * 1_000_000)
}

fn retry(decision: Decision) -> Option<Duration> {
    match decision {
        Decision::Taken(_) => panic!("taken"),
        Decision::Refused { retry_after, .. } => retry_after,
    }
}

fn per_minute(count: u64) -> Quota {
    Quota::continuous(count, count, MINUTE).expect("a quota")
}

#[test]
fn the_sixth_of_five_waits_a_second() {
    let buckets = Buckets::new(Quota::continuous(5, 1, SECOND).unwrap(), 10);
    for left in (0..5).rev() {
        let decision = buckets.take(7, 1, at(100));
        assert!(decision.is_taken());
        assert_eq!(decision.standing().remaining, left);
    }
    assert_eq!(retry(buckets.take(7, 1, at(100))), Some(SECOND));
    assert!(!buckets.take(7, 1, at(1_099)).is_taken());
    assert!(buckets.take(7, 1, at(1_100)).is_taken());
    assert!(buckets.take(8, 1, at(1_100)).is_taken(), "another key");
}

#[test]
fn under_another_quota_an_empty_bucket_is_empty() {
    let before = Buckets::new(per_minute(100), 10);
    assert!((0..100).all(|_| before.take(1, 1, at(0)).is_taken()));
    let after = before.under(per_minute(10)).expect("the same kind");
    assert!(!after.take(1, 1, at(0)).is_taken());
    assert_eq!(
        after.look(1, at(30_000)).remaining,
        5,
        "half a minute is half of it"
    );
    assert!(
        after.take(2, 1, at(0)).is_taken(),
        "who has taken nothing still has all"
    );
    assert!(!before.take(1, 1, at(0)).is_taken(), "the old one goes on");
    let at_once = Quota::interval(10, MINUTE).expect("a quota");
    assert!(before.under(at_once).is_none(), "its states are others");
}

#[test]
fn at_a_steady_pace_as_many_pass_as_the_seed_says() {
    let passed = |gap: u64| {
        let buckets = Buckets::new(per_minute(100), 10);
        (0..105)
            .filter(|turn| buckets.take(1, 1, at(turn * gap)).is_taken())
            .count()
    };
    assert_eq!((passed(0), passed(20), passed(50)), (100, 103, 105));
}

#[test]
fn an_interval_gives_all_back_at_once() {
    let buckets = Buckets::new(Quota::interval(100, MINUTE).unwrap(), 10);
    let passed = (0..105)
        .filter(|turn| buckets.take(1, 1, at(5 + turn * 500)).is_taken())
        .count();
    assert_eq!(passed, 100, "52 seconds later");
    let refused = buckets.take(1, 1, at(60_004));
    assert_eq!(retry(refused), Some(Duration::from_millis(1)));
    assert_eq!(refused.standing().remaining, 0);
    let fresh = buckets.take(1, 1, at(60_005));
    assert!(fresh.is_taken());
    assert_eq!(fresh.standing().remaining, 99);
    assert_eq!(fresh.standing().full_in, MINUTE);
}

#[test]
fn nothing_of_zero_panics_or_passes() {
    let quotas = [
        Quota::never(0).unwrap(),
        Quota::continuous(0, 5, SECOND).unwrap(),
        Quota::interval(0, SECOND).unwrap(),
    ];
    for quota in quotas {
        let buckets = Buckets::new(quota, 1);
        let refused = buckets.take(0, 1, at(0));
        assert_eq!(retry(refused), None);
        assert_eq!(refused.standing().remaining, 0);
        assert!(buckets.is_empty(), "no place for what was refused");
    }
    let once = Buckets::new(Quota::continuous(1, 0, SECOND).unwrap(), 1);
    assert!(once.take(1, 1, at(0)).is_taken());
    assert_eq!(retry(once.take(1, 1, at(9_000_000_000))), None);
    assert_eq!(once.look(1, at(1)).full_in, Duration::MAX);
    assert_eq!(
        Quota::continuous(1, 1, Duration::ZERO),
        Err(QuotaError::NoTime)
    );
    assert_eq!(Quota::interval(1, Duration::ZERO), Err(QuotaError::NoTime));
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    assert_eq!(Quota::continuous(1, 1, century), Err(QuotaError::TooSlow));
    assert_eq!(
        Quota::continuous(u64::MAX, 1, SECOND),
        Err(QuotaError::TooSlow)
    );
    assert_eq!(Quota::interval(1, century), Err(QuotaError::TooSlow));
    assert!(matches!(
        Quota::interval(u64::MAX, SECOND),
        Err(QuotaError::TooMany { .. })
    ));
    let fast = Quota::continuous(3_000_000, 3_000_000, SECOND).unwrap();
    assert!((fast.per_second() / 3e6 - 1.0).abs() < 1e-3);
    assert!(fast.per_second() <= 3e6);
}

#[test]
fn more_than_a_bucket_holds_never_passes_and_says_so() {
    for quota in [per_minute(100), Quota::interval(100, MINUTE).unwrap()] {
        let buckets = Buckets::new(quota, 10);
        assert_eq!(retry(buckets.take(1, 101, at(0))), None);
        assert_eq!(retry(buckets.take(1, u64::MAX, at(0))), None);
        assert!(buckets.take(1, 100, at(0)).is_taken());
        assert!(buckets.take(2, 0, at(0)).is_taken());
    }
}

#[test]
fn a_reservation_is_settled_with_what_was_used() {
    for quota in [per_minute(600), Quota::interval(600, MINUTE).unwrap()] {
        let buckets = Buckets::new(quota, 10);
        assert!(buckets.take(1, 500, at(0)).is_taken());
        buckets.settle(1, 500, 100, at(0));
        assert_eq!(buckets.look(1, at(0)).remaining, 500);
        assert!(buckets.take(1, 500, at(0)).is_taken());
        // More than there is: the bucket owes, and is refilled before it gives again.
        buckets.settle(1, 500, 1_100, at(0));
        assert_eq!(buckets.look(1, at(0)).remaining, 0);
        assert_eq!(buckets.missing(1, at(0)), 1_200);
        let wait = retry(buckets.take(1, 1, at(0))).unwrap();
        assert!(wait > MINUTE, "{wait:?}");
        assert!(!buckets.take(1, 1, at(60_000)).is_taken());
        assert!(buckets.take(1, 600, at(120_000)).is_taken());
    }
}

#[test]
fn a_share_is_its_part_of_capacity_and_refill() {
    let half = per_minute(100).share(2);
    assert_eq!(half.capacity(), 50);
    assert!((half.per_second() - 100.0 / 120.0).abs() < 1e-9);
    assert_eq!(per_minute(3).share(2).capacity(), 2);
    assert_eq!(per_minute(1).share(9).capacity(), 1);
    assert_eq!(per_minute(1).share(0), per_minute(1));
    let interval = Quota::interval(100, MINUTE).unwrap().share(4);
    assert_eq!((interval.capacity(), interval.full_time()), (25, MINUTE));
    assert_eq!(Quota::never(0).unwrap().share(3).capacity(), 0);
}

#[test]
fn a_reset_fills_one_bucket() {
    let buckets = Buckets::new(per_minute(1), 10);
    assert!(buckets.take(1, 1, at(0)).is_taken());
    assert!(buckets.take(2, 1, at(0)).is_taken());
    assert!(buckets.reset(1));
    assert!(!buckets.reset(1));
    assert_eq!(buckets.len(), 1);
    assert!(buckets.take(1, 1, at(0)).is_taken());
    assert!(!buckets.take(2, 1, at(0)).is_taken());
}

/// Spreads small numbers as a hash would.
fn key(number: u64) -> u64 {
    (number + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
        | 1
}

#[test]
fn the_cap_holds_and_nobody_is_refilled_by_a_crowd() {
    let buckets = Buckets::new(per_minute(2), 1_000);
    let victim = key(u64::MAX / 2);
    assert!(buckets.take(victim, 2, at(0)).is_taken());
    let mut alone = 0;
    for stranger in 0..50_000 {
        alone += u64::from(buckets.take(key(stranger), 1, at(1)).is_taken());
        assert!(buckets.len() <= 1_000);
    }
    assert!(!buckets.take(victim, 1, at(2)).is_taken());
    // Everybody with a place of his own, and two of the crowd.
    assert!((950..=1_001).contains(&alone), "{alone}");
    assert!(buckets.bytes() / buckets.most() < 100);
    // When they are full again, their places are free.
    let passed = (100_000..100_900)
        .filter(|stranger| buckets.take(key(*stranger), 1, at(61_000)).is_taken())
        .count();
    assert!(passed > 890, "{passed}");
    assert!(buckets.len() <= 1_000);
}

#[test]
fn four_fifths_of_a_table_are_used_before_anybody_shares() {
    let buckets = Buckets::new(per_minute(1), 100_000);
    let refused = (0..95_000)
        .filter(|number| !buckets.take(key(*number), 1, at(0)).is_taken())
        .count();
    assert!(refused < 20, "{refused}");
    assert!(buckets.bytes() < 100_000 * 24, "{}", buckets.bytes());
}

#[test]
fn full_buckets_are_dropped_in_passing() {
    let buckets = Buckets::new(per_minute(60), 5_000);
    for number in 0..1_000 {
        buckets.take(key(number), 1, at(0));
    }
    buckets.take(key(5_000), 50, at(0));
    assert_eq!(buckets.len(), 1_001);
    buckets.tidy(10_000, at(999));
    assert_eq!(buckets.len(), 1_001, "none is full yet");
    buckets.tidy(10_000, at(1_000));
    assert_eq!(buckets.len(), 1);
    assert_eq!(buckets.look(key(5_000), at(1_000)).remaining, 11);
}

/// A bucket in fractions that do not round, as slow as it likes.
struct Exact {
    capacity: i128,
    /// Tokens times the nanoseconds of the period.
    level: i128,
    count: i128,
    per: i128,
    last: u64,
}

impl Exact {
    fn new(capacity: u64, count: u64, per: Duration) -> Self {
        let per = i128::try_from(per.as_nanos()).expect("a short time");
        Self {
            capacity: i128::from(capacity) * per,
            level: i128::from(capacity) * per,
            count: i128::from(count),
            per,
            last: 0,
        }
    }

    fn pass(&mut self, now: u64) {
        let gained = i128::from(now - self.last) * self.count;
        self.level = (self.level + gained).min(self.capacity);
        self.last = now;
    }

    fn take(&mut self, cost: u64, now: u64) -> bool {
        self.pass(now);
        let price = i128::from(cost) * self.per;
        let enough = self.level >= price;
        if enough {
            self.level -= price;
        }
        enough
    }

    fn give_back(&mut self, tokens: u64, now: u64) {
        self.pass(now);
        self.level = (self.level + i128::from(tokens) * self.per).min(self.capacity);
    }
}

proptest! {
    /// With a token's time that is a whole number, decisions are those of exact arithmetic.
    #[test]
    fn a_continuous_bucket_decides_like_the_exact_one(
        capacity in 1_u64..200,
        token_micros in 1_u64..5_000_000,
        steps in prop::collection::vec((0_u64..3_000_000_000, 0_u64..60, any::<bool>()), 1..200),
    ) {
        let per = Duration::from_micros(token_micros);
        let buckets = Buckets::new(Quota::continuous(capacity, 1, per).unwrap(), 4);
        let mut exact = Exact::new(capacity, 1, per);
        let mut now = 1;
        for (pause, tokens, back) in steps {
            now += pause;
            if back {
                buckets.give_back(1, tokens, Moment(now));
                exact.give_back(tokens, now);
                continue;
            }
            let decision = buckets.take(1, tokens, Moment(now));
            prop_assert_eq!(decision.is_taken(), exact.take(tokens, now));
            let left = u64::try_from(exact.level / exact.per).unwrap();
            prop_assert_eq!(decision.standing().remaining, left);
        }
    }

    /// With any other, at most what exact arithmetic allows passes, and not noticeably less.
    #[test]
    fn rounding_is_never_generous(
        capacity in 1_u64..10_000,
        count in 1_u64..5_000_000,
        seconds in 1_u64..4_000,
        steps in prop::collection::vec((0_u64..10_000_000_000, 1_u64..50), 1..300),
    ) {
        let per = Duration::from_secs(seconds);
        let Ok(quota) = Quota::continuous(capacity, count, per) else { return Ok(()); };
        let buckets = Buckets::new(quota, 4);
        let mut exact = Exact::new(capacity, count, per);
        let (mut now, mut taken) = (1, 0_u64);
        for (pause, cost) in steps {
            now += pause;
            exact.pass(now);
            if buckets.take(1, cost, Moment(now)).is_taken() {
                taken += cost;
                exact.level -= i128::from(cost) * exact.per;
                prop_assert!(exact.level >= 0, "more than there was");
            } else if cost <= capacity {
                // What was missing is a part of a token that a millionth slower refill explains.
                let slack = exact.per + exact.capacity / 1_000;
                prop_assert!(exact.level < i128::from(cost) * exact.per + slack);
            }
        }
        prop_assert!(taken > 0 || capacity < 50);
    }

    /// Coming back when told to is never too early, and a moment before it always is.
    #[test]
    fn retry_after_is_exact(
        capacity in 1_u64..50,
        millis in 1_u64..10_000,
        costs in prop::collection::vec(1_u64..20, 1..40),
        interval: bool,
    ) {
        let per = Duration::from_millis(millis);
        let quota = if interval { Quota::interval(capacity, per) } else { Quota::continuous(capacity, 3, per) };
        let buckets = Buckets::new(quota.unwrap(), 4);
        let mut now = Moment(5_000_000);
        for cost in costs {
            if let Decision::Refused { retry_after, .. } = buckets.take(1, cost, now) {
                let Some(wait) = retry_after else {
                    prop_assert!(cost > capacity);
                    continue;
                };
                let just_before = now.after(wait.saturating_sub(Duration::from_nanos(1)));
                prop_assert!(!buckets.take(1, cost, just_before).is_taken());
                now = now.after(wait);
                prop_assert!(buckets.take(1, cost, now).is_taken());
            }
        }
    }

    /// In no stretch of an interval's length do more than two buckets pass, and none is refilled early.
    #[test]
    fn an_interval_decides_like_a_list_of_what_it_gave(
        capacity in 1_u64..20,
        steps in prop::collection::vec((0_u64..400, 1_u64..4), 1..200),
    ) {
        let buckets = Buckets::new(Quota::interval(capacity, SECOND).unwrap(), 4);
        let (mut now, mut begin, mut used) = (1_u64, 0_u64, 0_u64);
        for (pause, cost) in steps {
            now += pause;
            if used > 0 && now >= begin + 1_000 {
                used = 0;
            }
            if used == 0 {
                begin = now;
            }
            let expected = used + cost <= capacity;
            let decision = buckets.take(1, cost, at(now));
            prop_assert_eq!(decision.is_taken(), expected);
            if expected {
                used += cost;
            }
            prop_assert_eq!(decision.standing().remaining, capacity - used);
        }
    }

    /// Many keys in a table that is too small: each decides as if it were alone, or shares the crowd's bucket, which only
    /// refuses more. Nobody is refilled.
    #[test]
    fn a_full_table_is_never_generous(
        steps in prop::collection::vec((0_u64..40, 0_u64..60), 1..600),
    ) {
        let buckets = Buckets::new(Quota::continuous(3, 1, Duration::from_millis(100)).unwrap(), 20);
        let mut alone: HashMap<u64, Exact> = HashMap::new();
        let mut now = 1;
        for (pause, number) in steps {
            now += pause * 1_000_000;
            let exact = alone
                .entry(number)
                .or_insert_with(|| Exact::new(3, 1, Duration::from_millis(100)));
            exact.pass(now);
            if buckets.take(key(number), 1, Moment(now)).is_taken() {
                prop_assert!(exact.take(1, now), "key {} was refilled", number);
            }
            prop_assert!(buckets.len() <= 20);
        }
    }

    /// Replicas with leases on one bucket: in any stretch of time at most what the bucket allows and one lease for each.
    #[test]
    fn leases_keep_their_bound(
        replicas in 1_usize..5,
        capacity in 1_u64..500,
        steps in prop::collection::vec((0_u64..30, any::<prop::sample::Index>(), 1_u64..3), 1..800),
    ) {
        let per = SECOND;
        let quota = Quota::continuous(capacity, capacity, per).unwrap();
        let store = Buckets::new(quota, 4);
        let terms = Terms::of(&quota, u32::try_from(replicas).unwrap());
        let mut leases = vec![Lease::default(); replicas];
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        let mut now = 1;
        for (pause, replica, cost) in steps {
            now += pause;
            let lease = &mut leases[replica.index(replicas)];
            if lease.tokens() > 0 && lease.is_over(at(now), terms) {
                store.give_back(1, lease.end(), at(now));
            }
            let passed = match lease.spend(cost, at(now), terms) {
                Spend::Taken { .. } => true,
                Spend::Refused { .. } => false,
                Spend::Ask { need, want } => {
                    let given = want.min(store.look(1, at(now)).remaining).max(need);
                    match store.take(1, given, at(now)) {
                        Decision::Taken(_) => lease.grant(given, cost, at(now)),
                        Decision::Refused { retry_after, .. } => {
                            lease.refuse(need, retry_after, at(now));
                            false
                        }
                    }
                }
            };
            prop_assert!(lease.tokens() <= terms.most + 3);
            if passed {
                admitted.push((now, cost));
            }
        }
        let slack = (terms.most + 3) * replicas as u64;
        for (place, (first, _)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for (last, cost) in &admitted[place..] {
                sum += cost;
                let refilled = (last - first) * capacity / 1_000 + 1;
                prop_assert!(sum <= capacity + refilled + slack, "{sum} in {} ms", last - first);
            }
        }
    }
}

#[test]
fn a_busy_key_asks_seldom_and_an_idle_one_takes_one_at_a_time() {
    let quota = Quota::continuous(100_000, 100_000, SECOND).unwrap();
    let terms = Terms::of(&quota, 2);
    let mut lease = Lease::default();
    let mut asked = 0;
    for turn in 0..100_000_u64 {
        let now = Moment(turn * 20_000);
        if let Spend::Ask { want, .. } = lease.spend(1, now, terms) {
            asked += 1;
            assert!(want <= terms.most);
            lease.grant(want, 1, now);
        }
    }
    assert!(asked < 60, "{asked} of 100000");
    let mut idle = Lease::default();
    for turn in 0..100 {
        let now = at(turn * 1_000);
        if let Spend::Ask { want, .. } = idle.spend(1, now, terms) {
            assert_eq!(want, 1);
            idle.grant(want, 1, now);
        }
    }
}

#[test]
fn a_refusal_of_the_store_is_believed_for_its_time() {
    let terms = Terms {
        most: 10,
        term: SECOND,
    };
    let mut lease = Lease::default();
    assert!(matches!(lease.spend(5, at(0), terms), Spend::Ask { .. }));
    lease.refuse(5, Some(Duration::from_millis(600)), at(0));
    let soon = Some(Duration::from_millis(100));
    assert_eq!(
        lease.spend(5, at(500), terms),
        Spend::Refused { retry_after: soon }
    );
    assert!(
        matches!(lease.spend(1, at(500), terms), Spend::Ask { .. }),
        "it may have one"
    );
    assert!(matches!(lease.spend(5, at(600), terms), Spend::Ask { .. }));
    lease.refuse(5, None, at(600));
    assert!(matches!(
        lease.spend(5, at(1_599), terms),
        Spend::Refused { .. }
    ));
    assert!(matches!(
        lease.spend(5, at(1_600), terms),
        Spend::Ask { .. }
    ));
}

/// Many threads on few keys: exactly as many pass as there are tokens, while strangers come and go.
#[test]
fn threads_take_each_token_once() {
    let buckets = Arc::new(Buckets::new(Quota::never(1_000).unwrap(), 64));
    let small = Arc::new(Buckets::new(
        Quota::continuous(1, 1, Duration::from_micros(1)).unwrap(),
        16,
    ));
    let passed = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (buckets, small, passed) = (buckets.clone(), small.clone(), passed.clone());
            scope.spawn(move || {
                for turn in 0..20_000_u64 {
                    let taken = buckets.take(key(turn % 4), 1, Moment(1)).is_taken();
                    passed.fetch_add(u64::from(taken), Ordering::Relaxed);
                    // Places change hands all the time, and are never lost.
                    small.take(key(turn * 4 + thread), 1, Moment(turn * 2_000));
                    assert!(small.len() <= 16 + 4);
                }
            });
        }
    });
    assert_eq!(passed.load(Ordering::Relaxed), 4_000);
    assert_eq!(buckets.len(), 4);
    small.tidy(100, Moment(u64::MAX / 4));
    assert_eq!(small.len(), 0);
}
