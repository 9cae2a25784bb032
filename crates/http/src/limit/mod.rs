//! Rate limits: how often somebody may ask, and what he is told about it.
//!
//! A [`Policy`] is a quota, what its buckets are kept by (the principal, the client's address, a field that a trusted proxy has
//! set) and what happens beyond it. [`Limits`] says which of them hold on which route: the tier of whoever asks, the route's own,
//! and any others. All that hold are asked, and a request that one of them refuses takes nothing from the others: what they gave
//! is put back. Between the two steps somebody else may be refused for it; nobody is admitted for it.
//!
//! Where buckets live is for a [`Store`] to say. [`Memory`] decides at once, without a lock or an allocation. With the feature
//! `redis` there is one that replicas share, with a local share of every limit for the time that it cannot be reached.
//!
//! Raw fields of strangers are never keys: a principal is one that something vouched for, and a field counts only when the peer is
//! a trusted proxy. Whatever names somebody is hashed before it is kept.

mod chosen;
mod fields;
mod key;
mod layer;
#[cfg(feature = "redis")]
mod leases;
mod memory;
mod policy;
#[cfg(feature = "redis")]
pub mod redis;
mod round;
mod rules;
mod store;
mod worded;

pub use chosen::{Chosen, Later, Ticket};
pub use fields::{Fields, Reset};
pub use key::{Identify, Key, Keyed, Keys, Part};
pub use layer::{RateLimit, RateLimitLayer, ResponseFuture};
pub use memory::Memory;
pub use policy::{
    ANONYMOUS, Action, Candidate, OnStoreError, Policy, PolicyConfig, ROUTE, Tally, USER,
};
pub use rules::{Limits, Rules};
pub use store::{Ask, Bucket, Source, Store, Taking, Verdict, Who};

#[cfg(test)]
mod tests;
