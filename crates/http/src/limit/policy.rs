//! One limit: its quota, whom it counts apart, and what happens beyond it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seaworthy_core::quota::{Buckets, Quota};

use super::key::Keyed;
use super::worded::Worded;

/// The limit of whoever has no tier.
pub const ANONYMOUS: &str = "anonymous";
/// The limit of each user.
pub const USER: &str = "user";
/// What the limit of a route is called.
pub const ROUTE: &str = "route";

/// What happens to a request beyond the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is refused with 429.
    Reject,
    /// It passes, and is only counted.
    Observe,
    /// It waits until there is a token, at most so long; beyond that it is refused.
    Delay(Duration),
}

/// What holds when the store cannot be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnStoreError {
    /// A share of the limit, counted here.
    #[default]
    Local,
    /// Nothing: everybody is refused.
    Deny,
    /// Nothing: everybody passes.
    Allow,
}

/// What a policy is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyConfig {
    /// What it is called: in metrics, in fields of the answer and where a refusal names it.
    pub name: Box<str>,
    /// What its buckets are called in a store that others use too; `name` unless several limits have that one.
    pub bucket: Box<str>,
    /// The quota; none is no limit, and counts only.
    pub quota: Option<Quota>,
    /// What its buckets are kept by.
    pub keyed: Keyed,
    /// What happens beyond the quota.
    pub action: Action,
    /// What holds when the store cannot be asked.
    pub on_store_error: OnStoreError,
    /// Buckets of their own for at most so many.
    pub max_keys: usize,
    /// How long a full bucket still counts as active.
    pub idle: Duration,
    /// Another quota that is only counted.
    pub candidate: Option<Quota>,
    /// How many share the limit while each counts alone. 1 where nothing is shared.
    pub replicas: u32,
}

impl PolicyConfig {
    /// A limit for each identity that refuses, with room for 100,000.
    pub fn new(name: &str, quota: Option<Quota>) -> Self {
        Self {
            name: name.into(),
            bucket: name.into(),
            quota,
            keyed: Keyed::identity(),
            action: Action::Reject,
            on_store_error: OnStoreError::Local,
            max_keys: 100_000,
            idle: Duration::ZERO,
            candidate: None,
            replicas: 1,
        }
    }
}

/// A quota that is tried out beside the one that holds.
#[derive(Debug)]
pub struct Candidate {
    /// Its buckets.
    pub buckets: Buckets,
}

/// What a policy has decided.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    rejected: AtomicU64,
    observed: AtomicU64,
    delayed: AtomicU64,
    candidate: AtomicU64,
}

impl Tally {
    /// Requests that it was asked about.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that it refused.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Requests beyond the quota that passed because it only observes.
    pub fn observed(&self) -> u64 {
        self.observed.load(Ordering::Relaxed)
    }

    /// Requests that waited.
    pub fn delayed(&self) -> u64 {
        self.delayed.load(Ordering::Relaxed)
    }

    /// Requests that the candidate would have refused.
    pub fn candidate(&self) -> u64 {
        self.candidate.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refuse(&self, action: Action) {
        let cell = match action {
            Action::Reject => &self.rejected,
            Action::Observe => &self.observed,
            Action::Delay(_) => &self.delayed,
        };
        cell.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reject(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refuse_by_candidate(&self) {
        self.candidate.fetch_add(1, Ordering::Relaxed);
    }
}

/// One limit with its buckets. All workers share it, and it outlives a configuration that changes nothing about it.
#[derive(Debug)]
pub struct Policy {
    config: PolicyConfig,
    /// The buckets of this process: the whole limit, or its share while the store cannot be asked.
    local: Option<Buckets>,
    /// What was spent while the store could not be asked, and is still unknown to it.
    #[cfg(feature = "redis")]
    owed: Option<Buckets>,
    /// What the store has given by way of this process, should the store forget it.
    #[cfg(feature = "redis")]
    seen: Option<Buckets>,
    #[cfg(feature = "redis")]
    leases: std::sync::OnceLock<super::leases::Leases>,
    candidate: Option<Candidate>,
    tally: Arc<Tally>,
    pub(super) worded: Option<Worded>,
}

impl Policy {
    /// A policy whose buckets are all full.
    pub fn new(config: PolicyConfig) -> Self {
        let most = config.max_keys;
        let share = config.quota.map(|quota| quota.share(config.replicas));
        Self {
            local: share.map(|share| Buckets::new(share, most)),
            #[cfg(feature = "redis")]
            owed: share.map(|share| Buckets::new(share, most)),
            #[cfg(feature = "redis")]
            seen: config.quota.map(|quota| Buckets::new(quota, most)),
            #[cfg(feature = "redis")]
            leases: std::sync::OnceLock::new(),
            candidate: config.candidate.map(|quota| Candidate {
                buckets: Buckets::new(quota, most),
            }),
            tally: Arc::default(),
            worded: config.quota.map(|quota| Worded::new(&config.name, &quota)),
            config,
        }
    }

    /// A policy that takes the place of this one, with its buckets and its counts as far as they mean the same under `config`.
    /// Requests under way may still ask this one.
    #[must_use]
    pub fn succeeded_by(self: &Arc<Self>, config: PolicyConfig) -> Arc<Self> {
        if config == self.config {
            return self.clone();
        }
        let mut next = Self::new(config);
        next.tally = self.tally.clone();
        let (old, new) = (&self.config, &next.config);
        if (&old.keyed, old.max_keys) != (&new.keyed, new.max_keys) {
            return Arc::new(next);
        }
        let take_over = |mine: &mut Option<Buckets>, theirs: &Option<Buckets>| {
            let under = |mine: &Buckets| theirs.as_ref()?.under(*mine.quota());
            if let Some(kept) = mine.as_ref().and_then(under) {
                *mine = Some(kept);
            }
        };
        take_over(&mut next.local, &self.local);
        #[cfg(feature = "redis")]
        if old.bucket == new.bucket {
            take_over(&mut next.owed, &self.owed);
            take_over(&mut next.seen, &self.seen);
        }
        if let (Some(mine), Some(theirs)) = (&mut next.candidate, &self.candidate)
            && let Some(kept) = theirs.buckets.under(*mine.buckets.quota())
        {
            mine.buckets = kept;
        }
        Arc::new(next)
    }

    /// What it is made of.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The quota, unless there is no limit.
    pub fn quota(&self) -> Option<&Quota> {
        self.config.quota.as_ref()
    }

    /// What it has decided.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The buckets of this process.
    pub fn local(&self) -> Option<&Buckets> {
        self.local.as_ref()
    }

    #[cfg(feature = "redis")]
    pub(super) fn owed(&self) -> Option<&Buckets> {
        self.owed.as_ref()
    }

    #[cfg(feature = "redis")]
    pub(super) fn seen(&self) -> Option<&Buckets> {
        self.seen.as_ref()
    }

    #[cfg(feature = "redis")]
    pub(super) fn leases(&self) -> Option<&super::leases::Leases> {
        self.leases.get()
    }

    #[cfg(feature = "redis")]
    pub(super) fn lease(
        &self,
        make: impl FnOnce() -> super::leases::Leases,
    ) -> &super::leases::Leases {
        self.leases.get_or_init(make)
    }

    /// The quota that is tried out.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    /// How many buckets are kept here.
    pub fn active(&self) -> usize {
        self.local.as_ref().map_or(0, Buckets::len)
    }

    /// Forgets full buckets that have been idle for long enough, a part of the table at a time.
    pub fn tidy(&self, sets: usize, now: seaworthy_core::clock::Moment) {
        let idle = seaworthy_core::clock::nanos(self.config.idle);
        let before = seaworthy_core::clock::Moment(now.0.saturating_sub(idle));
        let candidates = self.candidate.iter().map(|candidate| &candidate.buckets);
        for buckets in self.local.iter().chain(candidates) {
            buckets.tidy(sets, before);
        }
        #[cfg(feature = "redis")]
        for buckets in self.owed.iter().chain(&self.seen) {
            buckets.tidy(sets, before);
        }
    }
}
