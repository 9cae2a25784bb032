//! One of the stores there are, chosen when the service starts.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use seaworthy_core::clock::Moment;

use super::memory::Memory;
use super::store::{Ask, Bucket, Store, Taking, Verdict};

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
