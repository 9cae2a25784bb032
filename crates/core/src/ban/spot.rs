//! An address and its hash, which is computed once and finds both the shard and the entry in it.
//!
//! The hash is that of the standard library, seeded for each table: whoever chooses addresses cannot aim for one shard, or for
//! one entry's neighbours.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};
use std::net::IpAddr;

/// Where the entry of an address is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    hash: u64,
    pub(super) address: IpAddr,
}

/// Entries by their spots.
pub(super) type Shard<V> = HashMap<Spot, V, BuildHasherDefault<Computed>>;

impl Spot {
    pub(super) fn new(address: IpAddr, seed: &RandomState) -> Self {
        let bits = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        Self {
            hash: seed.hash_one(bits),
            address,
        }
    }

    /// Which of `shards` it is in: by bits in the middle, because a map goes by those at both ends.
    pub(super) fn shard(&self, shards: usize) -> usize {
        let middle = (self.hash >> 32) & 0xffff;
        usize::try_from(middle).unwrap_or_default() % shards
    }
}

impl PartialEq for Spot {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for Spot {}

impl Hash for Spot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Hands a hash on that was computed before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Computed(u64);

impl Hasher for Computed {
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Nothing but a spot is a key, and a spot writes one number.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn addresses_are_spread_over_shards_and_within_each() {
        let seed = RandomState::new();
        let mut shards: [Shard<u32>; 16] = Default::default();
        for number in 0..4096 {
            let spot = Spot::new(Ipv4Addr::from_bits(number).into(), &seed);
            shards[spot.shard(16)].insert(spot, number);
        }
        for number in 0..4096 {
            let spot = Spot::new(Ipv4Addr::from_bits(number).into(), &seed);
            assert_eq!(shards[spot.shard(16)].get(&spot), Some(&number));
        }
        // 256 are expected in each; six standard deviations are 93.
        assert!(shards.iter().all(|shard| (163..350).contains(&shard.len())));
        let low = |spot: &Spot| spot.hash & 15;
        for shard in &shards {
            let mut seen: Vec<u64> = shard.keys().map(low).collect();
            seen.sort_unstable();
            seen.dedup();
            assert!(
                seen.len() > 12,
                "those of one shard differ where the map looks"
            );
        }
    }
}
