//! Layered, located configuration for any type.
//!
//! A type that derives `Deserialize` and `JsonSchema` and implements [`Validate`] can be loaded from any number of layers:
//! presets, files (YAML, TOML, JSON), environment variables and flags. Every value keeps its origin on the whole way
//! (`sources -> tree -> merge -> schema -> type -> cross-field checks`), so that each problem is shown where it was
//! written and every value can say where it came from. All problems are reported at once.
//!
//! The schema drives the checks, not the deserializer: a deserializer stops at the first error and cannot tell an unknown
//! key from a misspelt one. The same schema is what editors are given, so what an editor accepts is what the program accepts.
//!
//! A configuration that was loaded anew says what differs from the one that runs ([`Reloaded`]); versions can be kept in
//! SQLite (feature `history`). [`live`] has a whole program follow, or nothing.
//!
//! The loader reads no environment, walks no directories and watches no files; callers pass in what was found. [`secrets`] alone goes
//! out and asks.
//! `documents`, which its feature switches on, reads a folder that it is given and writes into one.
//! `registry`, likewise, judges what many instances are to have in common.
//! [`environment`] has the types of a service's own variables.

mod change;
mod check;
#[cfg(feature = "documents")]
pub mod documents;
pub mod environment;
#[cfg(feature = "history")]
pub mod history;
mod judge;
mod lint;
pub mod live;
mod load;
mod loaded;
mod merge;
mod migrate;
mod node;
mod path;
mod problem;
mod problems;
mod read;
mod reference;
#[cfg(feature = "registry")]
pub mod registry;
mod render;
mod report;
mod schema;
mod secret;
pub mod secrets;
mod show;
mod source;
mod suggest;
mod template;
mod trace;

pub use change::{Change, Reloaded, differ};
pub use lint::{RawSecret, lint};
pub use load::Loader;
pub use loaded::Loaded;
pub use migrate::{Renamed, migrate};
pub use node::{Entry, Node, Value};
pub use path::{Path, Segment};
pub use problem::{Finding, Findings, Problem, Severity, Validate};
pub use problems::Problems;
pub use read::{Format, MAX_FILE};
pub use reference::{Mention, References};
pub use report::{Report, ResultDocument};
pub use schema::{
    LOCAL, RESTART, about_setting, closest_setting, is_known, marked, needs_restart, own_names,
    schema_of,
};
pub use secret::Secret;
pub use show::{Setting, hash_of, yaml};
pub use source::{Layer, Origin, Place, Source, Sources};
pub use suggest::closest;
pub use template::Template;
