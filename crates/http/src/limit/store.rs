//! Where buckets live.

use std::sync::Arc;

use http::HeaderMap;
use seaworthy_core::clock::Moment;
use seaworthy_core::quota::Decision;

use super::key::{Key, Keys};
use super::policy::Policy;
use crate::exchange::Exchange;

/// One question: may somebody have so many tokens?
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// By which limit.
    pub policy: &'a Arc<Policy>,
    /// Whose bucket.
    pub key: Key,
    /// Who that is, for a store that needs a name: the parts that the key was made of.
    pub who: Who<'a>,
    /// How many tokens.
    pub cost: u64,
    /// When.
    pub now: Moment,
}

/// What a key was made of.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// How keys are made.
    pub keys: &'a Keys,
    /// The request's context.
    pub exchange: &'a Exchange,
    /// The request's fields.
    pub headers: &'a HeaderMap,
}

/// Who has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The store.
    Store,
    /// This process alone, because the store could not be asked.
    Fallback,
    /// Nobody: the store could not be asked, and the policy says what holds then.
    Nobody,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// Whose it is.
    pub source: Source,
}

impl Verdict {
    /// A decision of the store.
    pub const fn of_store(decision: Decision) -> Self {
        Self {
            decision,
            source: Source::Store,
        }
    }
}

/// An answer, or the promise of one.
#[derive(Debug)]
pub enum Taking<F> {
    /// It is there.
    Now(Verdict),
    /// It comes later.
    Later(F),
}

/// Where buckets live. A store has an answer to everything: what holds when it fails is its own business.
pub trait Store: Clone {
    /// An answer that is waited for.
    type Later: Future<Output = Verdict> + Unpin;
    /// What the store finds a bucket by, when the request is gone.
    type Ticket: Clone;

    /// Takes tokens, or nothing.
    fn take(&self, ask: &Ask<'_>) -> Taking<Self::Later>;

    /// What finds the bucket of this question later on.
    fn ticket(&self, ask: &Ask<'_>) -> Self::Ticket;

    /// Makes what was reserved into what was used: the rest is put back, and what is missing is owed. Nobody waits for it.
    fn settle(&self, bucket: &Bucket<Self::Ticket>, used: u64, now: Moment);
}

/// A bucket that something was taken from.
#[derive(Debug, Clone)]
pub struct Bucket<T> {
    /// The limit.
    pub policy: Arc<Policy>,
    /// Whose it is.
    pub key: Key,
    /// What the store finds it by.
    pub ticket: T,
    /// What was taken.
    pub reserved: u64,
}
