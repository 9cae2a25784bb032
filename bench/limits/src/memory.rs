//! Decisions in memory, one thread: a million keys drawn by Zipf's law, and one hot key. Both limiters see the same keys by the
//! same real clock, in rounds that take turns.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::{DefaultKeyedRateLimiter, Quota as Theirs, RateLimiter};
use seaworthy_core::clock::Clock;
use seaworthy_core::quota::{Buckets, Quota};

use crate::median;

const KEYS: usize = 1_000_000;
const DRAWS: usize = 4_000_000;
const ROUNDS: usize = 7;

pub(crate) fn run() {
    let mut random = fastrand::Rng::with_seed(7);
    // Keys as a hash makes them; governor hashes its keys once more, as it would any.
    let names: Vec<u64> = (0..KEYS).map(|_| random.u64(1..)).collect();
    let zipf: Vec<u64> = draws(&names, &mut random);
    let hot = vec![names[0]; DRAWS];
    let clock = Clock::new(Instant::now(), 1);
    let before = resident();
    let ours = Buckets::new(Quota::continuous(100, 100, Duration::from_secs(60)).expect("a quota"), KEYS);
    fill(&names, |key| { _ = black_box(ours.take(key, 1, clock.at(Instant::now()))); });
    let ours_bytes = resident() - before;
    let before = resident();
    let theirs: DefaultKeyedRateLimiter<u64> =
        RateLimiter::keyed(Theirs::per_minute(NonZeroU32::new(100).expect("not zero")));
    fill(&names, |key| { _ = black_box(theirs.check_key(&key)); });
    let theirs_bytes = resident() - before;
    println!("| what | ours | governor |\n|---|---|---|");
    for (what, keys) in [("1,000,000 keys, Zipf", &zipf), ("one hot key", &hot)] {
        let (mut mine, mut other, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            mine.push(time(keys, |key| { _ = black_box(ours.take(key, 1, clock.at(Instant::now()))); }));
            other.push(time(keys, |key| { _ = black_box(theirs.check_key(&key)); }));
            let now = clock.at(Instant::now());
            bare.push(time(keys, |key| { _ = black_box(ours.take(key, 1, now)); }));
        }
        println!("| {what}, clock reading included | {:.1} ns | {:.1} ns |", median(mine), median(other));
        println!("| {what}, moment handed in | {:.1} ns | |", median(bare));
    }
    let each = |bytes: usize| bytes / KEYS;
    println!("| bytes a key, by resident memory | {} | {} |", each(ours_bytes), each(theirs_bytes));
    println!("| bytes a key, by the table's own count | {} | |", ours.bytes() / ours.len());
    println!("| keys kept of {KEYS} | {} | {} |", ours.len(), theirs.len());
}

fn draws(names: &[u64], random: &mut fastrand::Rng) -> Vec<u64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=names.len())
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    (0..DRAWS)
        .map(|_| {
            let at = random.f64() * sum;
            names[sums.partition_point(|one| *one < at).min(names.len() - 1)]
        })
        .collect()
}

fn fill(names: &[u64], mut take: impl FnMut(u64)) {
    names.iter().for_each(|name| take(*name));
}

/// Nanoseconds for one.
fn time(keys: &[u64], mut take: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    keys.iter().for_each(|key| take(*key));
    start.elapsed().as_nanos() as f64 / keys.len() as f64
}

/// Resident memory in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096
}
