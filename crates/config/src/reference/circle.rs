//! Definitions of secrets that need each other can never be read.

use std::collections::{BTreeMap, BTreeSet};

use super::Mention;
use crate::check::Complaint;
use crate::path::Path;

/// A complaint for each mention by which a definition below `place` needs itself.
pub(super) fn circles(place: &Path, mentions: &[Mention]) -> Vec<Complaint> {
    let depth = place.segments().len();
    let definition = |mention: &Mention| {
        let inside = place.overlaps(&mention.path) && mention.path.segments().len() > depth;
        inside.then(|| mention.path.segments()[depth].to_string())
    };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mention in mentions {
        if let Some(from) = definition(mention) {
            edges.entry(from).or_default().insert(mention.name.clone());
        }
    }
    let complaint = |mention: &Mention| {
        let from = definition(mention)?;
        let way = way(&edges, &mention.name, &from)?;
        Some(Complaint {
            path: mention.path.clone(),
            message: format!("`{from}` needs itself: {from} -> {}", way.join(" -> ")),
            help: Some("let one of them come from elsewhere".to_owned()),
            at: Some(mention.origin),
            unreadable: true,
        })
    };
    mentions.iter().filter_map(complaint).collect()
}

/// The way from one definition to another along what they need.
fn way(edges: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        if last == to {
            return Some(way);
        }
        if !seen.insert(last.clone()) {
            continue;
        }
        for next in edges.get(last).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.clone());
            ways.push(longer);
        }
    }
    None
}
