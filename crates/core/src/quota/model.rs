//! Every order in which threads can meet in the table, tried by loom: `scripts/loom`.

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::clock::Moment;

const TOKEN: u64 = 1_000_000;

/// A table with a place for one key.
fn tiny(capacity: u64) -> Arc<Buckets> {
    let quota = Quota::continuous(capacity, 1, Duration::from_nanos(TOKEN)).unwrap();
    Arc::new(Buckets::new(quota, 1))
}

#[test]
fn two_threads_that_bring_the_same_new_key_share_its_bucket() {
    loom::model(|| {
        let buckets = tiny(1);
        let other = buckets.clone();
        let thread = thread::spawn(move || other.take(7, 1, Moment(1)).is_taken());
        let here = buckets.take(7, 1, Moment(1)).is_taken();
        let there = thread.join().unwrap();
        assert!(here != there, "one token, {here} and {there}");
        assert_eq!(buckets.len(), 1);
    });
}

#[test]
fn a_place_that_changes_hands_mixes_up_nobody() {
    loom::model(|| {
        let buckets = tiny(1);
        assert!(buckets.take(7, 1, Moment(1)).is_taken());
        // It is full again, so another key may have its place while its owner comes back for it.
        let later = Moment(1 + TOKEN);
        let other = buckets.clone();
        let thread = thread::spawn(move || other.take(9, 1, later).is_taken());
        let owner = buckets.take(7, 1, later).is_taken();
        let stranger = thread.join().unwrap();
        // Whoever came second shares the crowd's bucket, which is full as well.
        assert!(owner && stranger);
        assert!(!buckets.take(7, 1, later).is_taken() && !buckets.take(9, 1, later).is_taken());
        assert_eq!(buckets.len(), 1);
    });
}

#[test]
fn a_reset_beside_a_take_loses_no_place() {
    loom::model(|| {
        let buckets = tiny(2);
        assert!(buckets.take(7, 1, Moment(1)).is_taken());
        let other = buckets.clone();
        let thread = thread::spawn(move || other.reset(7));
        let taken = buckets.take(7, 1, Moment(1)).is_taken();
        assert!(thread.join().unwrap() && taken);
        assert!(buckets.len() <= 1);
        buckets.reset(7);
        assert_eq!(buckets.len(), 0);
        assert!(buckets.take(9, 2, Moment(1)).is_taken());
    });
}
