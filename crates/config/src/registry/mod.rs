//! Versions of settings for many instances: what is published, whether it is believed, and who takes it first.
//!
//! An environment has one log of [`Record`]s. Each record is the whole of what the environment is to have, so that the latest is enough
//! for whoever comes late and a log may be compacted. Records are signed ([`Signer`], [`Trust`]) and numbered; a [`Fold`] takes the
//! first sound record of each number and no earlier one again, so everybody who reads the same log agrees, whatever else is written
//! into it. What became of a record each instance says in an [`Ack`].
//!
//! Nothing here is sent or received: logs are the business of whoever has a connection.

mod ack;
mod cohort;
mod fold;
mod record;
mod sign;

pub use ack::{Ack, Outcome};
pub use cohort::{Stage, cohort};
pub use fold::{Fold, Taken};
pub use record::{Content, FORMAT, MOST, Record, Rollout, State};
pub use sign::{Signer, Trust, Untrusted, seal};
