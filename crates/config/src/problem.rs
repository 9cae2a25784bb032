//! What is wrong with a configuration, and the trait by which a type says so itself.

use serde::Serialize;

use crate::path::Path;
use crate::read::Fault;
use crate::source::{Origin, Place};

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

impl Problem {
    /// An error that is about no setting and has no place.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: String::new(),
            message: message.into(),
            help: None,
            place: None,
            origin: None,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self {
            help: fault.help,
            origin: Some(fault.origin),
            ..Self::error(fault.message)
        }
    }
}
