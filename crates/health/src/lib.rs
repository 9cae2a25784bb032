//! Health views: one model, rendered when it changes and answered from there.
//!
//! A probe must never wait: not for a dependency, not for a lock, not for a queue. So whoever learns something new puts a
//! [`Snapshot`] on the [`Board`], the documents are rendered once, and a probe takes a finished one in O(1).
//!
//! Liveness says whether Seaworthy itself answers, and nothing else; readiness says whether a request would reach the app.
//!
//! A service written in Rust begins with [`Health::builder`].

mod ask;
mod board;
mod breakers;
mod check;
mod clock;
mod entry;
mod features;
mod health;
mod outcome;
pub mod probe;
mod pulse;
mod registry;
mod render;
mod report;
mod routes;
mod runner;
mod snapshot;
mod spec;
mod view;
mod vitals;

pub use ask::{Ask, Case, Format};
pub use board::{Answer, Board};
pub use breakers::Breakers;
pub use check::{Check, Running, blocking, from_fn};
pub use features::{Fallback, FeatureDocument, Features, News};
pub use health::{Health, NoSuchCheck, Only};
pub use outcome::{Metadata, Outcome};
pub use pulse::{Pulse, Sign};
pub use registry::Change;
pub use render::{ComponentDocument, ReportDocument, draft_schema};
pub use report::{Component, Operated, Report};
pub use routes::Routes;
pub use snapshot::{Gate, Snapshot};
pub use spec::{Policy, Spec};
pub use view::View;
pub use vitals::{Builder, Vitals};
