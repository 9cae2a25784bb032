//! All problems of one configuration together, as text or JSON.

use std::fmt;

use crate::problem::{Problem, Severity};
use crate::render;
use crate::source::{Origin, Sources};

/// Everything that is wrong, in the order of the sources.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    items: Vec<Problem>,
    sources: Sources,
}

impl Problems {
    pub(crate) fn new(mut items: Vec<Problem>, sources: Sources) -> Self {
        for problem in &mut items {
            problem.place = problem.origin.map(|origin| sources.place(origin));
        }
        let position = |origin: Origin| (origin.source(), origin.range().start);
        items.sort_by_key(|problem| problem.origin.map_or((usize::MAX, 0), position));
        Self { items, sources }
    }

    /// One problem that has no place, such as a file that cannot be read.
    #[must_use]
    pub fn single(message: impl Into<String>, help: Option<String>) -> Self {
        let problem = Problem {
            help,
            ..Problem::error(message)
        };
        Self {
            items: vec![problem],
            sources: Sources::default(),
        }
    }

    /// The problems.
    #[must_use]
    pub fn items(&self) -> &[Problem] {
        &self.items
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many make the configuration unusable.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.items
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .count()
    }

    /// Draws each problem with its line, a caret and the help.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let drawn: Vec<String> = self
            .items
            .iter()
            .map(|problem| render::problem(problem, &self.sources, color))
            .collect();
        drawn.join("\n\n")
    }

    /// The problems as JSON: a list of `{severity, path, message, help, place}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.items).expect("problems hold only text and numbers")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}
