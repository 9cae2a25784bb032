//! What a service expects in its environment: types, bounds and defaults of its variables, and what was found there.
//!
//! ```
//! use seaworthy_config::environment::{Environment, Kind, Variable};
//!
//! let mut expected = Environment::default();
//! expected.register("API_PORT", Variable {
//!     default: Some(8000.into()),
//!     min: Some(1.into()),
//!     max: Some(65535.into()),
//!     ..Variable::new(Kind::Int)
//! });
//! let report = expected.check(|name| (name == "API_PORT").then_some("abc"));
//! assert_eq!(report.errors().collect::<Vec<_>>(), [r#"API_PORT: expected int, got "abc""#]);
//! ```
//!
//! Everything is looked at before anything is said, so one run shows all that is wrong. Nothing here reads the process's
//! environment: whoever checks passes in what he found. Secrets are known by their type and never shown; of other values
//! the password of a URL is masked, and what is long is cut.

mod kind;
mod report;
mod required;
mod shown;
mod typed;
mod variable;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::path::Path;
use crate::problem::Findings;

pub use kind::Kind;
pub use report::{Found, Origin, Report};
pub use required::Required;
pub use typed::Typed;
pub use variable::Variable;

/// The variables that a service expects, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Environment(BTreeMap<String, Variable>);

impl Environment {
    /// Adds a variable, over one of the same name.
    pub fn register(&mut self, name: impl Into<String>, variable: Variable) {
        self.0.insert(name.into(), variable);
    }

    /// Whether nothing is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The variables, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.0
            .iter()
            .map(|(name, variable)| (name.as_str(), variable))
    }

    /// Adds what is wrong with the expectations themselves: bounds that contradict each other, defaults that do not fit,
    /// patterns that are none. `at` is where they stand in the configuration.
    pub fn faults(&self, at: &Path, findings: &mut Findings) {
        for (name, variable) in &self.0 {
            variable.faults(name, &at.key(name.as_str()), findings);
        }
    }

    /// Holds what `given` knows by name against what is expected.
    #[must_use]
    pub fn check<'a>(&self, given: impl Fn(&str) -> Option<&'a str>) -> Report {
        let found = self
            .0
            .iter()
            .map(|(name, variable)| variable.check(name, given(name)));
        Report(found.collect())
    }
}

impl FromIterator<(String, Variable)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, Variable)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
