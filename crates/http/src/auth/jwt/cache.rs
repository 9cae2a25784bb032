//! Tokens that were verified, so that a signature is computed once and not with each request.
//!
//! Bounded: a token that finds no room pushes out one that is over, or else any one, which costs that one a verification.
//! An entry counts for the key set it was verified with, so that a key that is withdrawn takes its tokens along.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use seaworthy_core::principal::Principal;

/// So many locks, so that workers seldom wait for each other.
const SHARDS: usize = 16;

#[derive(Debug)]
struct Known {
    principal: Arc<Principal>,
    until: u64,
    generation: u64,
}

type Shard = HashMap<[u8; 32], Known>;

/// See the [module documentation](self).
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    most: usize,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl Cache {
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            most: most.div_ceil(SHARDS),
        }
    }

    pub(super) fn find(
        &self,
        hash: &[u8; 32],
        generation: u64,
        now: u64,
    ) -> Option<Arc<Principal>> {
        let mut shard = self.shard(hash);
        let known = shard.get(hash)?;
        if known.generation == generation && now < known.until {
            return Some(known.principal.clone());
        }
        shard.remove(hash);
        None
    }

    pub(super) fn keep(
        &self,
        hash: [u8; 32],
        principal: &Arc<Principal>,
        until: u64,
        generation: u64,
        now: u64,
    ) {
        let mut shard = self.shard(&hash);
        if shard.len() >= self.most && !shard.contains_key(&hash) {
            // A few are enough: a walk over all of them would hold up whoever waits for the lock.
            let over = |known: &Known| now >= known.until || known.generation != generation;
            let mut some = shard.iter().take(8);
            let goes = some
                .find(|(_, known)| over(known))
                .or_else(|| shard.iter().next());
            if let Some(goes) = goes.map(|(hash, _)| *hash) {
                shard.remove(&goes);
            }
        }
        if shard.len() >= self.most && !shard.contains_key(&hash) {
            return;
        }
        let known = Known {
            principal: principal.clone(),
            until,
            generation,
        };
        shard.insert(hash, known);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    fn shard(&self, hash: &[u8; 32]) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(hash[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_core::principal::Kind;

    fn somebody() -> Arc<Principal> {
        Arc::new(Principal {
            kind: Kind::Token,
            id: "a".into(),
            tier: None,
        })
    }

    #[test]
    fn it_forgets_what_is_over_and_what_another_key_set_verified() {
        let cache = Cache::new(16);
        cache.keep([1; 32], &somebody(), 100, 7, 0);
        assert!(cache.find(&[1; 32], 7, 99).is_some());
        assert!(cache.find(&[1; 32], 8, 99).is_none());
        cache.keep([1; 32], &somebody(), 100, 7, 0);
        assert!(cache.find(&[1; 32], 7, 100).is_none());
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn it_never_grows_beyond_its_bound() {
        let cache = Cache::new(64);
        for at in 0..10_000_u32 {
            let hash = crate::auth::keys::sha256(&at.to_be_bytes());
            cache.keep(hash, &somebody(), u64::from(at), 0, u64::from(at) / 2);
        }
        assert!(cache.len() <= 64, "{}", cache.len());
    }
}
