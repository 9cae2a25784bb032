//! A configuration that was loaded, with the way it came about.

use crate::judge::problem;
use crate::node::{Node, Value};
use crate::path::Path;
use crate::problem::{Findings, Problem, Severity};
use crate::problems::Problems;
use crate::reference::{Expanded, Mention, Written};
use crate::source::{Place, Sources};

/// A configuration with the way it came about.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The configuration.
    pub value: T,
    /// The merged tree, without defaults.
    pub tree: Node,
    /// The texts it was read from.
    pub sources: Sources,
    /// What can be used, but was probably not meant.
    pub warnings: Problems,
    /// Values of files that look like secrets, as warnings.
    pub raw: Problems,
    /// Secrets that values name.
    pub mentions: Vec<Mention>,
    /// What was written where a value holds references; that is what is shown.
    pub(crate) written: Vec<Written>,
    /// Settings that are secret.
    pub(crate) secrets: Vec<Path>,
}

impl<T> Loaded<T> {
    /// Where the value at a path was written; nothing for a default.
    #[must_use]
    pub fn place(&self, path: &Path) -> Option<Place> {
        let mut path = path.clone();
        loop {
            match self.tree.at(&path) {
                Some(node) if !path.segments().is_empty() => {
                    return Some(self.sources.place(node.origin));
                }
                Some(_) => return None,
                None => {}
            }
            path = path.parent()?;
            // A key that is absent from a mapping that was written is a default; a value inside something that was
            // written as one word or one list came with it.
            if matches!(
                self.tree.at(&path),
                Some(Node {
                    value: Value::Map(_),
                    ..
                })
            ) {
                return None;
            }
        }
    }

    /// Puts what stands at these paths into another tree, as it is here: with what references stood for then. Gives what was written there.
    pub(crate) fn lend(
        &self,
        paths: &[Path],
        tree: &mut Node,
        sources: &mut Sources,
        expanded: &mut Expanded,
    ) -> Vec<Written> {
        for path in paths {
            tree.remove(path);
            expanded.written.retain(|one| !one.path.overlaps(path));
            expanded.unresolved.retain(|one| !one.overlaps(path));
            expanded
                .mentions
                .retain(|mention| !mention.path.overlaps(path));
            let Some(node) = self.tree.at(path) else {
                continue;
            };
            tree.put(
                path,
                node.with_origins(&mut |origin| sources.adopt(&self.sources, origin)),
            );
            let own = self
                .mentions
                .iter()
                .filter(|mention| mention.path.overlaps(path));
            expanded.mentions.extend(own.map(|mention| Mention {
                origin: sources.adopt(&self.sources, mention.origin),
                ..mention.clone()
            }));
        }
        let own = self.written.iter();
        let is_lent = |shown: &Path| paths.iter().any(|path| path.overlaps(shown));
        own.filter(|one| is_lent(&one.path)).cloned().collect()
    }

    /// What is wrong with secrets: the name of each, what, and how to mend it. It is told where they are named.
    #[must_use]
    pub fn refuse(&self, wrong: &[(String, String, Option<String>)]) -> Problems {
        let told = |mention: &Mention| {
            let wrong = wrong.iter().filter(|(name, _, _)| *name == mention.name);
            let problem = |(_, message, help): &(String, String, Option<String>)| Problem {
                severity: Severity::Error,
                path: mention.path.to_string(),
                message: message.clone(),
                help: help.clone(),
                place: None,
                origin: Some(mention.origin),
            };
            wrong.map(problem).collect::<Vec<_>>()
        };
        let problems = self.mentions.iter().flat_map(told).collect();
        Problems::new(problems, self.sources.clone())
    }

    /// What was found out about the configuration after it was loaded, each where it was written.
    #[must_use]
    pub fn problems(&self, findings: Findings) -> Problems {
        let found = findings.0.into_iter();
        let problems = found.map(|finding| problem(finding, &self.tree));
        Problems::new(problems.collect(), self.sources.clone())
    }

    /// Whether the user or a preset said anything at a path.
    #[must_use]
    pub fn is_set(&self, path: impl Into<Path>) -> bool {
        self.tree.at(&path.into()).is_some()
    }
}
