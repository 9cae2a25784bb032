//! What is wrong with a value as a whole, and where each complaint belongs.

use serde::de::DeserializeOwned;

use crate::check::Complaint;
use crate::node::Node;
use crate::path::Path;
use crate::problem::{Finding, Findings, Problem, Severity, Validate};

/// How often a value may be refused before the rest is left unread.
const MOST_REFUSALS: usize = 64;

/// What the value says against itself, less what is said of values that were refused.
pub(crate) fn judge<T: Validate>(
    value: &T,
    complaints: &[Complaint],
    waiting: &[Path],
    tree: &Node,
) -> Vec<Problem> {
    let spoilt = |path: &Path| {
        let refused = complaints.iter().map(|complaint| &complaint.path);
        refused.chain(waiting).any(|other| other.overlaps(path))
    };
    let mut findings = Findings::default();
    value.validate(&mut findings);
    let sound = findings
        .0
        .into_iter()
        .filter(|finding| !spoilt(&finding.path) && !finding.related.iter().any(spoilt));
    sound.map(|finding| problem(finding, tree)).collect()
}

/// What was found, where it was written.
pub(crate) fn problem(finding: Finding, tree: &Node) -> Problem {
    Problem {
        severity: finding.severity,
        origin: tree.nearest(&finding.path),
        path: finding.path.to_string(),
        message: finding.message,
        help: finding.help,
        place: None,
    }
}

pub(crate) fn located(complaint: &Complaint, tree: &Node) -> Problem {
    Problem {
        severity: Severity::Error,
        path: complaint.path.to_string(),
        message: complaint.message.clone(),
        help: complaint.help.clone(),
        place: None,
        origin: complaint.at.or_else(|| tree.nearest(&complaint.path)),
    }
}

/// Reads the value, taking out what is refused, so that all that remains is judged too.
pub(crate) fn read_value<T: DeserializeOwned>(
    mut tree: Node,
    complaints: &mut Vec<Complaint>,
) -> Option<T> {
    for complaint in complaints.iter().filter(|complaint| complaint.unreadable) {
        tree.remove(&complaint.path);
    }
    for _ in 0..MOST_REFUSALS {
        let error = match serde_path_to_error::deserialize::<_, T>(&tree.to_json()) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let path = Path::from(error.path());
        if !complaints
            .iter()
            .any(|complaint| complaint.path.overlaps(&path))
            || complaints.is_empty()
        {
            let message = error.inner().to_string();
            complaints.push(Complaint {
                path: path.clone(),
                message,
                help: None,
                at: None,
                unreadable: true,
            });
        }
        if !tree.remove(&path) {
            return None;
        }
    }
    None
}
