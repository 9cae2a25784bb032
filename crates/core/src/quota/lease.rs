//! A slice of a bucket that is kept elsewhere: taken in one step, spent here.
//!
//! Asking a shared store for every request makes a busy key cost one round trip each. A lease asks for more at once and spends
//! that without asking. Its size follows the key: a lease that is used up in less than half its term is followed by one twice as
//! large, one that lasts longer than its term by one half as large, so a key that is seldom used takes one token at a time.
//!
//! **What it costs in exactness.** Tokens are gone from the store when they are leased and admitted later, so in any stretch
//! of time the replicas together admit at most what the bucket allows in that stretch plus one largest lease for each replica.
//! Nothing is admitted that the store has not given: over a long time the rate is the store's. A lease that is not used up in
//! time has to be given back; until then others find those tokens missing.

use std::time::Duration;

use super::Quota;
use crate::clock::Moment;

/// How leases of a bucket are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The most tokens of one lease.
    pub most: u64,
    /// How long a lease should last.
    pub term: Duration,
}

impl Terms {
    /// A term of a fifth of a second, and a tenth of the bucket shared out among `replicas`: together they then admit at most a
    /// tenth more than the limit.
    pub fn of(quota: &Quota, replicas: u32) -> Self {
        Self {
            most: (quota.capacity() / 10 / u64::from(replicas.max(1))).max(1),
            term: Duration::from_millis(200),
        }
    }
}

/// What to do about a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spend {
    /// They came from the lease, which has this many left.
    Taken {
        /// Tokens that are left of the lease.
        left: u64,
    },
    /// The store has refused lately and cannot have had so many tokens since.
    Refused {
        /// How long until it may have them; `None` for never.
        retry_after: Option<Duration>,
    },
    /// The store has to be asked.
    Ask {
        /// How many tokens are needed at the least.
        need: u64,
        /// How many to ask for.
        want: u64,
    },
}

/// A refusal is believed no longer than this: others may have given tokens back, or somebody filled the bucket.
const BELIEVED: Duration = Duration::from_secs(1);

/// The part of one bucket that is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lease {
    tokens: u64,
    size: u64,
    granted: Moment,
    refused: Option<Refusal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refusal {
    need: u64,
    at: Moment,
    retry_after: Option<Duration>,
}

impl Lease {
    /// Takes `cost` tokens from the lease, or says what to ask the store for.
    pub fn spend(&mut self, cost: u64, now: Moment, terms: Terms) -> Spend {
        if self.tokens >= cost {
            self.tokens -= cost;
            return Spend::Taken { left: self.tokens };
        }
        if let Some(refusal) = self.refused.filter(|refusal| cost >= refusal.need) {
            let passed = now.since(refusal.at);
            let wait = refusal.retry_after.unwrap_or(Duration::MAX);
            if passed < wait.min(BELIEVED) {
                let retry_after = refusal.retry_after.map(|wait| wait - passed);
                return Spend::Refused { retry_after };
            }
        }
        self.resize(now, terms);
        let need = cost - self.tokens;
        Spend::Ask {
            need,
            want: need.max(self.size),
        }
    }

    /// Adds what the store gave, and takes `cost` of it. Returns whether that was enough.
    pub fn grant(&mut self, given: u64, cost: u64, now: Moment) -> bool {
        self.tokens = self.tokens.saturating_add(given);
        self.granted = now;
        self.refused = None;
        let enough = self.tokens >= cost;
        if enough {
            self.tokens -= cost;
        }
        enough
    }

    /// Notes that the store had fewer than `need` tokens.
    pub fn refuse(&mut self, need: u64, retry_after: Option<Duration>, now: Moment) {
        self.size = 1;
        self.refused = Some(Refusal {
            need,
            at: now,
            retry_after,
        });
    }

    /// Tokens that are left.
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether its time is over: what is left should be given back.
    pub fn is_over(&self, now: Moment, terms: Terms) -> bool {
        now.since(self.granted) >= terms.term * 2
    }

    /// Takes out what is left.
    pub fn end(&mut self) -> u64 {
        self.size = (self.size / 2).max(1);
        std::mem::take(&mut self.tokens)
    }

    fn resize(&mut self, now: Moment, terms: Terms) {
        let lasted = now.since(self.granted);
        let size = self.size.max(1);
        self.size = if self.size == 0 {
            1
        } else if lasted < terms.term / 2 {
            size.saturating_mul(2)
        } else if lasted > terms.term {
            size / 2
        } else {
            size
        }
        .clamp(1, terms.most.max(1));
    }
}
