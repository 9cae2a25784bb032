//! Decisions without I/O: budgets, backoff, identities, errors and names.
//!
//! Everything here is a plain value or a pure function: no sockets, no files, no tokio, no clock and no randomness of its
//! own. Time and random bytes are handed in, so every decision can be tested with any past and any dice. It is also the only
//! crate that the others share: what two of them must agree on (an error's name, a metric's name, the record of an exchange)
//! lives here, and nothing else does.

pub mod abuse;
pub mod address;
pub mod backoff;
pub mod ban;
pub mod breaker;
pub mod budget;
pub mod canary;
pub mod catalogue;
pub mod clock;
pub mod concurrency;
pub mod digits;
pub mod dsn;
pub mod event;
pub mod exchange;
pub mod flag;
pub mod health;
pub mod identity;
pub mod ledger;
pub mod lifecycle;
pub mod measure;
pub mod metadata;
pub mod names;
pub mod principal;
pub mod quantity;
pub mod quota;
pub mod request_id;
pub mod retry;
pub mod route;
pub mod route_names;
pub mod throttle;
pub mod trace_context;
pub mod window;
