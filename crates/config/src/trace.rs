//! Files that hold what they should only name.

use crate::lint;
use crate::node::Node;
use crate::problem::{Problem, Severity};
use crate::source::Layer;

/// Values of files that look like secrets.
pub(crate) fn raw(trees: &[(Layer, Node)]) -> Vec<Problem> {
    let files = trees
        .iter()
        .filter(|(layer, _)| matches!(layer, Layer::File | Layer::Overlay));
    let problem = |found: lint::Found| Problem {
        severity: Severity::Warning,
        path: found.path.to_string(),
        message: format!("a secret seems to be written here: {}", found.sign),
        help: Some(
            "keep it where secrets are kept, and write `${secret:NAME}` or `${env:NAME}`".into(),
        ),
        place: None,
        origin: Some(found.origin),
    };
    let found = files.flat_map(|(_, tree)| lint::look(tree));
    found.map(problem).collect()
}
