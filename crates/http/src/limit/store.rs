//! Where buckets live.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use seaworthy_core::clock::Moment;
use seaworthy_core::quota::Decision;

use super::key::{Key, Keys};
use super::memory::Memory;
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

/// The store that a configuration has chosen.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// This process alone.
    Memory(Memory),
    /// A Redis that replicas share.
    #[cfg(feature = "redis")]
    Redis(super::redis::Redis),
}

impl Default for Chosen {
    fn default() -> Self {
        Self::Memory(Memory)
    }
}

/// The answer of a [`Chosen`] store.
#[derive(Debug)]
pub enum Later {
    /// That of a Redis.
    #[cfg(feature = "redis")]
    Redis(super::redis::Later),
    /// It was there already.
    Ready(std::future::Ready<Verdict>),
}

impl Future for Later {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        match self.get_mut() {
            #[cfg(feature = "redis")]
            Self::Redis(later) => Pin::new(later).poll(cx),
            Self::Ready(ready) => Pin::new(ready).poll(cx),
        }
    }
}

/// What a [`Chosen`] store finds a bucket by: its key in Redis, where there is one.
pub type Ticket = Option<Arc<str>>;

impl Store for Chosen {
    type Later = Later;
    type Ticket = Ticket;

    fn take(&self, ask: &Ask<'_>) -> Taking<Later> {
        match self {
            Self::Memory(memory) => match memory.take(ask) {
                Taking::Now(verdict) => Taking::Now(verdict),
                Taking::Later(ready) => Taking::Later(Later::Ready(ready)),
            },
            #[cfg(feature = "redis")]
            Self::Redis(redis) => match redis.take(ask) {
                Taking::Now(verdict) => Taking::Now(verdict),
                Taking::Later(later) => Taking::Later(Later::Redis(later)),
            },
        }
    }

    fn ticket(&self, ask: &Ask<'_>) -> Ticket {
        match self {
            Self::Memory(_) => {
                _ = ask;
                None
            }
            #[cfg(feature = "redis")]
            Self::Redis(redis) => Some(redis.ticket(ask)),
        }
    }

    fn settle(&self, bucket: &Bucket<Ticket>, used: u64, now: Moment) {
        let Bucket {
            policy,
            key,
            reserved,
            ..
        } = bucket.clone();
        match (self, &bucket.ticket) {
            #[cfg(feature = "redis")]
            (Self::Redis(redis), Some(ticket)) => {
                let ticket = ticket.clone();
                let bucket = Bucket {
                    policy,
                    key,
                    ticket,
                    reserved,
                };
                redis.settle(&bucket, used, now);
            }
            _ => {
                let ticket = ();
                let bucket = Bucket {
                    policy,
                    key,
                    ticket,
                    reserved,
                };
                Memory.settle(&bucket, used, now);
            }
        }
    }
}
