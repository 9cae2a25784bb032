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
//! This crate reads no environment, walks no directories and watches no files; callers pass in what was found.

mod check;
mod load;
mod merge;
mod node;
mod path;
mod problem;
mod problems;
mod read;
mod render;
mod schema;
mod secret;
mod show;
mod source;
mod suggest;

pub use load::{Loaded, Loader};
pub use node::{Entry, Node, Value};
pub use path::{Path, Segment};
pub use problem::{Finding, Findings, Problem, Severity, Validate};
pub use problems::Problems;
pub use read::{Format, MAX_FILE};
pub use schema::{closest_setting, is_known, schema_of};
pub use secret::Secret;
pub use show::{Setting, yaml};
pub use source::{Layer, Origin, Place, Source, Sources};
pub use suggest::closest;
