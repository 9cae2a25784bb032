//! One number for each of many keys, in a table that does not grow.
//!
//! Each key has two sets of eight places, chosen by its hash, and lives in either. A place holds the key's hash and its state,
//! sixteen bytes in all; a set keeps its eight hashes in one cache line, so that finding a key reads one or two lines and its
//! state one more. Sets are made when the first key falls into their neighbourhood: a large table costs little until it is used.
//!
//! Changing a state is one compare-and-swap. Giving a place to another key goes through a reserved state: whoever owns that is
//! alone with the place. A reader takes the state first and looks at the hash after that, so a change meant for the key that
//! was there before cannot land on the one that is there now. Two threads that bring the same new key are kept apart by a lock,
//! the only one, which known keys never take.

use super::refill::RESERVED;
use super::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, pause};
use std::sync::{OnceLock, PoisonError};

/// Places in a set: as many as hashes fit into a cache line.
const WAYS: usize = if cfg!(loom) { 1 } else { 8 };
/// Sets that are made at a time: so many that their list stays in the nearest cache.
const NEIGHBOURS: usize = if cfg!(loom) { 1 } else { 128 };
/// Locks for new keys.
const DOORS: usize = if cfg!(loom) { 1 } else { 64 };
/// Places for each key that is allowed, in quarters: with one in five free, two sets hardly ever fill up before the table does.
const QUARTERS: usize = 5;

// Two neighbouring cache lines, which processors fetch together.
#[repr(align(128))]
#[derive(Debug)]
struct Set {
    keys: [AtomicU64; WAYS],
    states: [AtomicU64; WAYS],
}

impl Set {
    fn new() -> Self {
        Self {
            keys: std::array::from_fn(|_| AtomicU64::new(0)),
            states: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    key: &'a AtomicU64,
    state: &'a AtomicU64,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Table {
    sets: Box<[OnceLock<Box<[Set]>>]>,
    count: usize,
    most: usize,
    live: AtomicUsize,
    hand: AtomicUsize,
    doors: Box<[Mutex<()>]>,
}

impl Table {
    /// A table for at most `most` keys.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let places = most.saturating_mul(QUARTERS).div_ceil(4);
        let count = places.div_ceil(WAYS).max(2);
        let table = Self {
            sets: (0..count.div_ceil(NEIGHBOURS))
                .map(|_| OnceLock::new())
                .collect(),
            count,
            most,
            live: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            doors: (0..DOORS).map(|_| Mutex::new(())).collect(),
        };
        if cfg!(loom) {
            // It would not see that making them is safe: that is the standard library's promise.
            (0..count).for_each(|index| _ = table.make(index));
        }
        table
    }

    /// How many keys have a place.
    pub(super) fn len(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// The most keys that can have one.
    pub(super) const fn most(&self) -> usize {
        self.most
    }

    /// Bytes of the sets that were made so far.
    pub(super) fn bytes(&self) -> usize {
        let made = self.sets.iter().filter_map(OnceLock::get);
        let sets: usize = made.map(|sets| sets.len()).sum();
        sets * size_of::<Set>() + size_of_val(&*self.sets)
    }

    /// Lets `change` see the state of `key`, and stores what it returns. Returns `None` when the key has no place.
    pub(super) fn change<T>(
        &self,
        key: u64,
        mut change: impl FnMut(u64) -> (Option<u64>, T),
    ) -> Option<T> {
        loop {
            let place = self.find(key)?;
            let state = place.state.load(Ordering::Acquire);
            if state == RESERVED {
                pause();
                continue;
            }
            // After the state: if the place was given away before, this shows the new key.
            if place.key.load(Ordering::Acquire) != key {
                continue;
            }
            let (after, told) = change(state);
            let Some(after) = after else {
                return Some(told);
            };
            if swap(place.state, state, after) {
                return Some(told);
            }
        }
    }

    /// Gives `key` a place with this state, or changes the state that another thread has given it meanwhile. `is_full` tells
    /// which states may be forgotten. Returns `None` when there is no room.
    pub(super) fn insert<T>(
        &self,
        key: u64,
        is_full: impl Fn(u64) -> bool,
        mut change: impl FnMut(u64) -> (Option<u64>, T),
    ) -> Option<T> {
        let _door = self.door(key);
        if let Some(told) = self.change(key, &mut change) {
            return Some(told);
        }
        let (after, told) = change(0);
        let Some(after) = after else {
            return Some(told);
        };
        self.tidy_next(&is_full);
        let place = self.claim(key, &is_full)?;
        place.key.store(key, Ordering::Release);
        place.state.store(after, Ordering::Release);
        Some(told)
    }

    /// Forgets a key, whatever its state.
    pub(super) fn remove(&self, key: u64) -> bool {
        while let Some(place) = self.find(key) {
            let state = place.state.load(Ordering::Acquire);
            if state == RESERVED {
                pause();
            } else if place.key.load(Ordering::Acquire) == key && swap(place.state, state, RESERVED)
            {
                self.free(place);
                return true;
            }
        }
        false
    }

    /// Frees the places of full buckets in the next `sets` sets. Called now and then, it goes through the whole table.
    pub(super) fn tidy(&self, sets: usize, is_full: impl Fn(u64) -> bool) {
        for _ in 0..sets.min(self.count) {
            self.tidy_next(&is_full);
        }
    }

    fn tidy_next(&self, is_full: &impl Fn(u64) -> bool) {
        let index = self.hand.fetch_add(1, Ordering::Relaxed) % self.count;
        let Some(set) = self.made(index) else {
            return;
        };
        for place in places(set) {
            let state = place.state.load(Ordering::Acquire);
            let taken = state != RESERVED && place.key.load(Ordering::Acquire) != 0;
            if taken && is_full(state) && swap(place.state, state, RESERVED) {
                if place.key.load(Ordering::Acquire) == 0 {
                    place.state.store(0, Ordering::Release);
                } else {
                    self.free(place);
                }
            }
        }
    }

    /// Empties a place whose state the caller has reserved.
    fn free(&self, place: Place<'_>) {
        place.key.store(0, Ordering::Release);
        place.state.store(0, Ordering::Release);
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    fn find(&self, key: u64) -> Option<Place<'_>> {
        let (first, second) = self.homes(key);
        self.find_in(first, key)
            .or_else(|| self.find_in(second, key))
    }

    fn find_in(&self, index: usize, key: u64) -> Option<Place<'_>> {
        let set = self.made(index)?;
        let way = set
            .keys
            .iter()
            .position(|other| other.load(Ordering::Acquire) == key)?;
        Some(Place {
            key: &set.keys[way],
            state: &set.states[way],
        })
    }

    /// Reserves a place for `key`: a free one of the emptier set, else that of a full bucket.
    fn claim(&self, key: u64, is_full: &impl Fn(u64) -> bool) -> Option<Place<'_>> {
        let (first, second) = self.homes(key);
        let (first, second) = (self.make(first), self.make(second));
        let (emptier, other) = if free_places(second) > free_places(first) {
            (second, first)
        } else {
            (first, second)
        };
        let grown = self.live.fetch_add(1, Ordering::Relaxed) < self.most;
        if grown {
            for place in places(emptier).chain(places(other)) {
                let free = place.key.load(Ordering::Acquire) == 0;
                if free && swap(place.state, 0, RESERVED) {
                    if place.key.load(Ordering::Acquire) == 0 {
                        return Some(place);
                    }
                    place.state.store(0, Ordering::Release);
                }
            }
        }
        self.live.fetch_sub(1, Ordering::Relaxed);
        places(emptier).chain(places(other)).find(|place| {
            let state = place.state.load(Ordering::Acquire);
            if state == RESERVED || place.key.load(Ordering::Acquire) == 0 || !is_full(state) {
                return false;
            }
            if !swap(place.state, state, RESERVED) {
                return false;
            }
            let taken = place.key.load(Ordering::Acquire) != 0;
            if !taken {
                place.state.store(state, Ordering::Release);
            }
            taken
        })
    }

    fn homes(&self, key: u64) -> (usize, usize) {
        let first = self.index(key);
        let second = self.index(key.rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if first == second {
            (first, (first + 1) % self.count)
        } else {
            (first, second)
        }
    }

    /// The high bits of the product: every set is as likely, whatever their number.
    fn index(&self, hash: u64) -> usize {
        let product = u128::from(hash) * self.count as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }

    fn made(&self, index: usize) -> Option<&Set> {
        Some(&self.sets[index / NEIGHBOURS].get()?[index % NEIGHBOURS])
    }

    fn make(&self, index: usize) -> &Set {
        let sets = self.sets[index / NEIGHBOURS]
            .get_or_init(|| (0..NEIGHBOURS).map(|_| Set::new()).collect());
        &sets[index % NEIGHBOURS]
    }

    fn door(&self, key: u64) -> MutexGuard<'_, ()> {
        let doors = self.doors.len() as u64;
        let door = usize::try_from(key % doors).unwrap_or(0);
        self.doors[door]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn places(set: &Set) -> impl Iterator<Item = Place<'_>> {
    let pairs = set.keys.iter().zip(&set.states);
    pairs.map(|(key, state)| Place { key, state })
}

fn free_places(set: &Set) -> usize {
    let keys = set.keys.iter();
    keys.filter(|key| key.load(Ordering::Relaxed) == 0).count()
}

fn swap(state: &AtomicU64, before: u64, after: u64) -> bool {
    state
        .compare_exchange(before, after, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}
