//! What operators are shown of the checks alone.

use schemars::JsonSchema;
use seaworthy_core::health::Status;
use serde::Serialize;

use super::ComponentDocument;
use crate::Report;

/// All checks, and what they amount to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportDocument<'a> {
    /// The word for all of them together.
    status: Status,
    /// Whether none of them closes readiness.
    ready: bool,
    /// The checks, in the order in which they were registered.
    checks: Vec<ComponentDocument<'a>>,
}

impl Report {
    /// Everything that is known of its components.
    pub fn document(&self) -> ReportDocument<'_> {
        let checks = self.components.iter();
        ReportDocument {
            status: self.whole.status,
            ready: self.whole.open,
            checks: checks.map(|one| one.document()).collect(),
        }
    }
}
