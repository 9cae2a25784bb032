//! A bucket of the same quota for each key.

use std::sync::Arc;

use super::refill::Quota;
use super::sync::{AtomicU64, Ordering};
use super::table::Table;
use super::{Decision, Standing};
use crate::clock::Moment;

/// Buckets of one quota by key, at most so many. All threads share it, and nothing of it blocks one that brings a known key.
///
/// When there is no room for a new key, it shares one bucket with all others that have none: strangers in great number then limit
/// each other, and nobody who was there before.
#[derive(Debug)]
pub struct Buckets {
    quota: Quota,
    table: Arc<Table>,
    /// The bucket of those that found no room.
    crowd: AtomicU64,
}

impl Buckets {
    /// Buckets for at most `most` keys.
    pub fn new(quota: Quota, most: usize) -> Self {
        Self {
            quota,
            table: Arc::new(Table::new(most)),
            crowd: AtomicU64::new(0),
        }
    }

    /// The same buckets under another quota, if what is noted of them means the same there. With a continuous refill that is the
    /// time until a bucket is full, which stays: an empty bucket of 100 a minute is an empty one of 50 a minute. Both may be
    /// used at a time.
    pub fn under(&self, quota: Quota) -> Option<Self> {
        quota.reads(&self.quota).then(|| Self {
            quota,
            table: self.table.clone(),
            crowd: AtomicU64::new(self.crowd.load(Ordering::Acquire)),
        })
    }

    /// The quota of each bucket.
    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// How many keys have a bucket of their own that may be less than full.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether all are full.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most keys that can have a bucket of their own.
    pub fn most(&self) -> usize {
        self.table.most()
    }

    /// The memory that it takes so far, in bytes.
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Takes `cost` tokens from the bucket of `key`, or nothing.
    pub fn take(&self, key: u64, cost: u64, now: Moment) -> Decision {
        self.update(key, now, |state| self.quota.take(state, now, cost))
    }

    /// Takes `cost` tokens whether they are there or not: what was used is owed.
    pub fn charge(&self, key: u64, cost: u64, now: Moment) {
        if cost > 0 {
            self.update(key, now, |state| {
                (Some(self.quota.charge(state, now, cost)), ())
            });
        }
    }

    /// Puts `tokens` back into the bucket of `key`. A bucket that was forgotten is full and needs none.
    pub fn give_back(&self, key: u64, tokens: u64, now: Moment) {
        if tokens > 0 {
            self.table.change(known(key), |state| {
                (Some(self.quota.give_back(state, now, tokens)), ())
            });
        }
    }

    /// Makes what was `reserved` into what was `used`, once that is known. More than was reserved is owed.
    pub fn settle(&self, key: u64, reserved: u64, used: u64, now: Moment) {
        if used > reserved {
            self.charge(key, used - reserved, now);
        } else {
            self.give_back(key, reserved - used, now);
        }
    }

    /// How the bucket of `key` stands.
    pub fn look(&self, key: u64, now: Moment) -> Standing {
        self.quota.standing(self.state(key), now)
    }

    /// How many tokens the bucket of `key` misses, those it owes included.
    pub fn missing(&self, key: u64, now: Moment) -> u64 {
        self.quota.missing(self.state(key), now)
    }

    /// Fills the bucket of `key`, and says whether it had one of its own.
    pub fn reset(&self, key: u64) -> bool {
        self.table.remove(known(key))
    }

    /// Drops full buckets among the next `sets` sets of eight.
    pub fn tidy(&self, sets: usize, now: Moment) {
        self.table
            .tidy(sets, |state| self.quota.is_full(state, now));
    }

    fn state(&self, key: u64) -> u64 {
        let found = self
            .table
            .change(known(key), |state| (None, state))
            .or_else(|| {
                self.is_crowded()
                    .then(|| self.crowd.load(Ordering::Acquire))
            });
        found.unwrap_or(0)
    }

    fn is_crowded(&self) -> bool {
        self.table.len() >= self.table.most()
    }

    fn update<T>(
        &self,
        key: u64,
        now: Moment,
        mut change: impl FnMut(u64) -> (Option<u64>, T),
    ) -> T {
        let key = known(key);
        if let Some(told) = self.table.change(key, &mut change) {
            return told;
        }
        let is_full = |state| self.quota.is_full(state, now);
        if let Some(told) = self.table.insert(key, is_full, &mut change) {
            return told;
        }
        loop {
            let state = self.crowd.load(Ordering::Acquire);
            let (after, told) = change(state);
            let Some(after) = after else {
                return told;
            };
            let swapped =
                self.crowd
                    .compare_exchange(state, after, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_ok() {
                return told;
            }
        }
    }
}

/// Zero stands for a free place.
const fn known(key: u64) -> u64 {
    if key == 0 { 1 } else { key }
}
