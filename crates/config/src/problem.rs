//! What is wrong with a configuration, and the trait by which a type says so itself.

use std::fmt;

use serde::Serialize;

use crate::path::Path;
use crate::render;
use crate::source::{Origin, Place, Sources};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably not as meant.
    Warning,
}

/// Checks that need more than one field, or more than a type can say.
pub trait Validate {
    /// Adds what is wrong. Runs even when single fields were refused: those have their defaults here, and whatever
    /// is found about them is dropped.
    fn validate(&self, findings: &mut Findings);
}

/// Collects what [`Validate`] finds.
#[derive(Debug, Default)]
pub struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// Adds an error at a path such as `listen.tls.cert`.
    pub fn error(&mut self, path: impl Into<Path>, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, path.into(), message.into())
    }

    /// Adds a warning.
    pub fn warning(&mut self, path: impl Into<Path>, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, path.into(), message.into())
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was found.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }

    fn add(&mut self, severity: Severity, path: Path, message: String) -> &mut Finding {
        let at = self.0.len();
        self.0.push(Finding {
            severity,
            path,
            related: Vec::new(),
            message,
            help: None,
        });
        &mut self.0[at]
    }
}

/// One thing that [`Validate`] found, before it is located.
#[derive(Debug)]
pub struct Finding {
    pub(crate) severity: Severity,
    pub(crate) path: Path,
    pub(crate) related: Vec<Path>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Finding {
    /// Says how to mend it.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Names another setting that has a part in it.
    pub fn related(&mut self, path: impl Into<Path>) -> &mut Self {
        self.related.push(path.into());
        self
    }

    /// The setting it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// One located problem.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The setting, as `listen.tls.cert`; empty when it is about a whole text.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where it was written; absent when nothing was written, such as a missing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(skip)]
    pub(crate) origin: Option<Origin>,
}

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
            severity: Severity::Error,
            path: String::new(),
            message: message.into(),
            help,
            place: None,
            origin: None,
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
