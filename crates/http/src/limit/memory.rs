//! Buckets in this process.

use std::future::Ready;

use seaworthy_core::clock::Moment;
use seaworthy_core::quota::{Decision, Standing};

use super::store::{Ask, Bucket, Store, Taking, Verdict};

/// What a policy without buckets says; it is not asked.
pub(super) const FREE: Decision = Decision::Taken(Standing {
    remaining: u64::MAX,
    full_in: std::time::Duration::ZERO,
});

/// Decides at once, for this process alone. The buckets are those of the policies, so there is nothing else to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory;

impl Store for Memory {
    type Later = Ready<Verdict>;
    type Ticket = ();

    fn take(&self, ask: &Ask<'_>) -> Taking<Self::Later> {
        let buckets = ask.policy.local();
        let decision = buckets.map_or(FREE, |buckets| buckets.take(ask.key.0, ask.cost, ask.now));
        Taking::Now(Verdict::of_store(decision))
    }

    fn ticket(&self, _: &Ask<'_>) {}

    fn settle(&self, bucket: &Bucket<()>, used: u64, now: Moment) {
        if let Some(buckets) = bucket.policy.local() {
            buckets.settle(bucket.key.0, bucket.reserved, used, now);
        }
    }
}
