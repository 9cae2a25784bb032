//! The table of all addresses that matter at the moment.

use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ipnet::IpNet;

use super::network::{Target, key};
use super::rules::{Rules, Verdict};
use super::spot::{Shard, Spot};
use crate::clock::Moment;
use crate::window::Window;

/// Threads that look up different addresses seldom meet.
const SHARDS: usize = 16;
/// When a shard is full, so many of its entries are looked at for one that is no longer needed.
const LOOKED_AT: usize = 32;
/// The most networks that are banned by hand.
const NETWORKS: usize = 1024;

/// Why somebody is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Too many requests.
    Threshold,
    /// Somebody wished it, with these words.
    Hand(Box<str>),
    /// Another instance said so.
    Shared,
}

impl Cause {
    /// The words for it.
    pub fn words(&self) -> &str {
        match self {
            Self::Threshold => "too many requests",
            Self::Hand(words) => words,
            Self::Shared => "blocked by another instance",
        }
    }
}

/// One who is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub target: Target,
    /// Since when.
    pub since: Moment,
    /// Until when.
    pub until: Moment,
    /// Why.
    pub cause: Cause,
    /// How often, this time included.
    pub times: u32,
}

#[derive(Debug, Default)]
struct Entry {
    window: Window,
    block: Option<Block>,
    /// Blocks so far.
    times: u32,
    /// The end of the last one.
    ended: Moment,
}

#[derive(Debug, Clone)]
struct Block {
    since: Moment,
    until: Moment,
    cause: Cause,
}

impl Entry {
    /// Whether forgetting it changes nothing for anybody.
    fn is_over(&mut self, now: Moment, rules: Option<&Rules>) -> bool {
        let blocked = self.block.as_ref().is_some_and(|block| block.until > now);
        let Some(rules) = rules else {
            return !blocked;
        };
        let remembered = self.times > 0 && rules.factor > 1 && now.since(self.ended) < rules.memory;
        !blocked && !remembered && self.window.count(now, rules.window) == 0
    }
}

/// See the [module documentation](super).
#[derive(Debug)]
pub struct Table {
    shards: [Mutex<Shard<Entry>>; SHARDS],
    seed: RandomState,
    most: usize,
    networks: RwLock<Vec<(IpNet, Block)>>,
    /// So that nobody pays for networks that are not there.
    banned_networks: AtomicUsize,
    uncounted: AtomicU64,
    refused: AtomicU64,
    /// Changes with every block and unblock: whoever keeps a copy of the blocks looks at it.
    version: AtomicU64,
}

impl Table {
    /// A table of at most about `most` addresses.
    pub fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            seed: RandomState::new(),
            most: most.div_ceil(SHARDS).max(1),
            networks: RwLock::default(),
            banned_networks: AtomicUsize::new(0),
            uncounted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            version: AtomicU64::new(0),
        }
    }

    /// Counts a request of `address` under `rules`, if there are any, and says what becomes of it.
    pub fn admit(&self, address: IpAddr, rules: Option<&Rules>, now: Moment) -> Verdict {
        let verdict = self.judge(key(address), rules, now);
        if matches!(verdict, Verdict::Blocked { .. }) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    fn judge(&self, address: IpAddr, rules: Option<&Rules>, now: Moment) -> Verdict {
        if let Some(until) = self.network_block(address, now) {
            return Verdict::Blocked {
                until,
                first: false,
            };
        }
        let spot = Spot::new(address, &self.seed);
        let mut shard = self.shard(spot);
        let Some(entry) = shard.get_mut(&spot) else {
            let Some(rules) = rules else {
                return Verdict::Pass;
            };
            return match make_room(&mut shard, self.most, now, rules) {
                true => self.count(shard.entry(spot).or_default(), rules, now),
                false => {
                    self.uncounted.fetch_add(1, Ordering::Relaxed);
                    Verdict::Uncounted
                }
            };
        };
        if let Some(block) = &entry.block {
            if block.until > now {
                let until = block.until;
                return Verdict::Blocked {
                    until,
                    first: false,
                };
            }
            entry.ended = block.until;
            entry.block = None;
        }
        match rules {
            Some(rules) => self.count(entry, rules, now),
            None => Verdict::Pass,
        }
    }

    fn count(&self, entry: &mut Entry, rules: &Rules, now: Moment) -> Verdict {
        let count = entry.window.note(now, rules.window, rules.threshold);
        if count <= rules.threshold {
            return Verdict::Pass;
        }
        if now.since(entry.ended) >= rules.memory {
            entry.times = 0;
        }
        let until = now.after(rules.length(entry.times));
        entry.times = entry.times.saturating_add(1);
        entry.block = Some(Block {
            since: now,
            until,
            cause: Cause::Threshold,
        });
        // Who served his time begins anew.
        entry.window.clear();
        self.version.fetch_add(1, Ordering::Relaxed);
        Verdict::Blocked { until, first: true }
    }

    /// Blocks `target` for `time`, over a block that ends earlier. `false` when there is no room for it.
    pub fn ban(&self, target: Target, time: Duration, cause: Cause, now: Moment) -> bool {
        let block = Block {
            since: now,
            until: now.after(time),
            cause,
        };
        let done = match target {
            Target::Address(address) => {
                let spot = Spot::new(address, &self.seed);
                let mut shard = self.shard(spot);
                // What somebody decided outweighs the bound on strangers, but not without a bound of its own.
                let room = shard.contains_key(&spot) || shard.len() < self.most * 2;
                if room {
                    let entry = shard.entry(spot).or_default();
                    let longer = entry
                        .block
                        .as_ref()
                        .is_none_or(|old| old.until < block.until);
                    if longer {
                        entry.times = entry.times.saturating_add(1);
                        entry.block = Some(block);
                    }
                }
                room
            }
            Target::Network(network) => {
                let mut networks = self
                    .networks
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                networks.retain(|(other, old)| *other != network && old.until > now);
                let room = networks.len() < NETWORKS;
                if room {
                    networks.push((network, block));
                }
                self.banned_networks
                    .store(networks.len(), Ordering::Release);
                room
            }
        };
        self.version.fetch_add(u64::from(done), Ordering::Relaxed);
        done
    }

    /// Lets `target` in again, with a clean slate. `false` when it was not blocked.
    pub fn unban(&self, target: Target, now: Moment) -> bool {
        let was = match target {
            Target::Address(address) => {
                let spot = Spot::new(address, &self.seed);
                let entry = self.shard(spot).remove(&spot);
                entry
                    .and_then(|entry| entry.block)
                    .is_some_and(|block| block.until > now)
            }
            Target::Network(network) => {
                let mut networks = self
                    .networks
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                let before = networks.len();
                networks.retain(|(other, _)| *other != network);
                self.banned_networks
                    .store(networks.len(), Ordering::Release);
                networks.len() < before
            }
        };
        self.version.fetch_add(u64::from(was), Ordering::Relaxed);
        was
    }

    /// All who are blocked, the latest first.
    pub fn bans(&self, now: Moment) -> Vec<Ban> {
        let mut bans = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            bans.extend(shard.iter().filter_map(|(spot, entry)| {
                let block = entry.block.as_ref().filter(|block| block.until > now)?;
                Some(shown(Target::Address(spot.address), block, entry.times))
            }));
        }
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        let blocked = networks.iter().filter(|(_, block)| block.until > now);
        bans.extend(blocked.map(|(network, block)| shown(Target::Network(*network), block, 1)));
        bans.sort_by_key(|ban| (std::cmp::Reverse(ban.since), ban.target));
        bans
    }

    /// Forgets all for whom that changes nothing. Call it every few seconds: a full shard looks at a few entries only.
    pub fn sweep(&self, rules: Option<&Rules>, now: Moment) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, entry| !entry.is_over(now, rules));
        }
        let mut networks = self
            .networks
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        networks.retain(|(_, block)| block.until > now);
        self.banned_networks
            .store(networks.len(), Ordering::Release);
    }

    /// How many addresses are known.
    pub fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Requests that were let through uncounted because the table was full.
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Ordering::Relaxed)
    }

    /// Requests that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Changes whenever somebody is blocked or let in again.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    fn network_block(&self, address: IpAddr, now: Moment) -> Option<Moment> {
        if self.banned_networks.load(Ordering::Acquire) == 0 {
            return None;
        }
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        let held = networks
            .iter()
            .filter(|(network, _)| network.contains(&address));
        held.map(|(_, block)| block.until)
            .filter(|until| *until > now)
            .max()
    }

    fn shard(&self, spot: Spot) -> MutexGuard<'_, Shard<Entry>> {
        self.shards[spot.shard(SHARDS)]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(target: Target, block: &Block, times: u32) -> Ban {
    Ban {
        target,
        since: block.since,
        until: block.until,
        cause: block.cause.clone(),
        times,
    }
}

/// Whether there is room for one more, if need be after forgetting one that is over.
fn make_room(shard: &mut Shard<Entry>, most: usize, now: Moment, rules: &Rules) -> bool {
    if shard.len() < most {
        return true;
    }
    let looked_at = shard.iter_mut().take(LOOKED_AT);
    let over: Vec<Spot> = looked_at
        .filter_map(|(spot, entry)| entry.is_over(now, Some(rules)).then_some(*spot))
        .collect();
    for spot in &over {
        shard.remove(spot);
    }
    !over.is_empty()
}
