//! No two modules may need each other, at any depth, in any crate.
//!
//! A reader can then take any module with what stands below it. An edge is a path from one module's code into a
//! sibling; what a parent and its child say to each other is one module's own business.

use std::collections::{BTreeMap, BTreeSet};

use super::{Breach, is_test, sources};
use crate::source;
use crate::tree::Tree;

/// Module to modules, all children of one parent.
type Graph = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    for (from, parent, to) in edges(tree) {
        graphs
            .entry(parent)
            .or_default()
            .entry(from)
            .or_default()
            .insert(to);
    }
    let cyclic = graphs
        .iter()
        .filter_map(|(parent, graph)| Some((parent, find(graph)?)));
    cyclic
        .map(|(parent, cycle)| {
            let what = format!(
                "modules in a circle: {}; move what both need into a third",
                cycle.join(" -> ")
            );
            Breach::new(parent.as_str(), what)
        })
        .collect()
}

/// All edges between siblings: (from, parent, to).
fn edges(tree: &Tree) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let modules: BTreeSet<(&str, Vec<&str>)> = sources(tree)
        .flat_map(|(folder, file, _, _)| {
            let module = source::module(file);
            (1..=module.len())
                .map(move |depth| (folder, module[..depth].to_vec()))
                .collect::<Vec<_>>()
        })
        .collect();
    for (folder, file, _, text) in sources(tree).filter(|(_, file, _, _)| !is_test(file)) {
        let own = source::module(file);
        for path in source::paths(&source::code(text), &own) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let common = own
                .iter()
                .zip(&path)
                .take_while(|(mine, theirs)| mine == theirs)
                .count();
            let (Some(from), Some(to)) = (own.get(common), path.get(common)) else {
                continue;
            };
            // Only modules count: the path may as well name a function of the parent.
            if modules.contains(&(folder, path[..=common].to_vec())) {
                let parent = [folder, "src"]
                    .iter()
                    .chain(&own[..common])
                    .copied()
                    .collect::<Vec<_>>();
                found.push(((*from).to_owned(), parent.join("/"), (*to).to_owned()));
            }
        }
    }
    found
}

/// One cycle of the graph, first module repeated at the end.
fn find(graph: &Graph) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|start| visit(graph, start, &mut Vec::new(), &mut done))
}

fn visit(
    graph: &Graph,
    at: &str,
    trail: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(start) = trail.iter().position(|seen| seen == at) {
        let mut cycle = trail[start..].to_vec();
        cycle.push(at.to_owned());
        return Some(cycle);
    }
    if !done.insert(at.to_owned()) {
        return None;
    }
    trail.push(at.to_owned());
    let next = graph.get(at).into_iter().flatten();
    let cycle = next
        .into_iter()
        .find_map(|to| visit(graph, to, trail, done));
    trail.pop();
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_circle_of_three() {
        let tree = Tree::of(&[
            ("crates/x/src/a.rs", "use crate::b::B;"),
            ("crates/x/src/b/mod.rs", "use super::c;"),
            ("crates/x/src/c.rs", "fn f() { crate::a::g() }"),
        ]);
        let breaches = check(&tree);
        assert_eq!(breaches.len(), 1);
        assert!(
            breaches[0].what.contains("a -> b -> c -> a"),
            "{breaches:?}"
        );
    }

    #[test]
    fn finds_a_circle_inside_a_folder() {
        let tree = Tree::of(&[
            ("crates/x/src/a/b.rs", "use super::c::C;"),
            ("crates/x/src/a/c.rs", "use crate::a::b;"),
        ]);
        assert_eq!(check(&tree)[0].place, "crates/x/src/a");
    }

    #[test]
    fn parents_tests_and_comments_do_not_count() {
        let tree = Tree::of(&[
            ("crates/x/src/lib.rs", "mod a; mod b; use a::A;"),
            (
                "crates/x/src/a.rs",
                "// crate::b\nuse crate::f;\n#[cfg(test)]\nmod tests { use crate::b; }",
            ),
            ("crates/x/src/b/mod.rs", "use crate::a; mod c; use c::C;"),
            ("crates/x/src/b/c.rs", "use super::D;"),
            ("crates/x/src/a/tests.rs", "use crate::b;"),
        ]);
        assert_eq!(check(&tree), []);
    }
}
