//! Which route a request belongs to: the key of its limits and the label of its metrics.
//!
//! A pattern is `[METHOD[|METHOD…] ]/path`. A segment of the path is literal, or one parameter (`:name` or `{name}`, at
//! least one character), and the pattern may end in `*`, which takes any rest, even an empty one and even more segments:
//! `/v1/predict*` covers `/v1/predict` and `/v1/predict/batch`.
//!
//! The most specific pattern wins, decided segment by segment from the left: a literal before a parameter before a prefix,
//! a longer prefix before a shorter, one that names the method before one for any; after that the first one declared. A
//! pattern whose method does not fit is passed over, not an error: saying 405 is the app's business.
//!
//! Matching is on the raw path: nothing is decoded, no `..` is resolved, case and a trailing slash count. The app behind
//! decides what a path means, and a guess of ours that differs from its own would put a request under the wrong limit;
//! the raw path can only miss a route and fall under the general one. So nothing that protects may rest on a route alone.
//!
//! Patterns become a tree of segments. A lookup visits each node at most once, allocates nothing, and returns at once when
//! there are no routes.

/// The number of a route; stable for as long as its table lives.
#[derive(Default, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u16);

impl RouteId {
    /// No pattern fits.
    pub const UNMATCHED: Self = Self(0);

    /// The number as an index into tables that have one entry for each template.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A pattern that cannot be used; says how to write it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route `{pattern}`: {problem}")]
pub struct InvalidPattern {
    /// The pattern as it was written.
    pub pattern: String,
    /// What is wrong with it and how to mend it.
    pub problem: &'static str,
}

/// All routes of a configuration, ready for lookups.
#[derive(Debug, Clone)]
pub struct RouteTable {
    templates: Vec<String>,
    root: Node,
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Sorted by [`order`].
    literals: Vec<(Box<str>, Node)>,
    parameter: Option<Box<Node>>,
    /// The longest first.
    prefixes: Vec<(Box<str>, Vec<Leaf>)>,
    /// The routes that end here, those with a method first.
    ends: Vec<Leaf>,
}

#[derive(Debug, Clone)]
struct Leaf {
    /// Empty means any.
    methods: Vec<Box<str>>,
    id: RouteId,
}

impl Default for RouteTable {
    fn default() -> Self {
        Self {
            templates: vec!["unmatched".to_owned()],
            root: Node::default(),
        }
    }
}

impl RouteTable {
    /// Builds a table; the first pattern gets number 1.
    ///
    /// # Errors
    ///
    /// The first pattern that cannot be used.
    pub fn try_new<S: AsRef<str>>(
        patterns: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidPattern> {
        let mut table = Self::default();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            table.add(pattern).map_err(|problem| InvalidPattern {
                pattern: pattern.to_owned(),
                problem,
            })?;
        }
        Ok(table)
    }

    fn add(&mut self, pattern: &str) -> Result<(), &'static str> {
        let id = u16::try_from(self.templates.len())
            .map_err(|_| "there are more than 65535 routes; merge some with `:name` or `*`")?;
        let (methods, path) = split_methods(pattern)?;
        check_characters(path)?;
        let leaf = Leaf {
            methods,
            id: RouteId(id),
        };
        insert(&mut self.root, &path[1..], leaf)?;
        self.templates.push(path.to_owned());
        Ok(())
    }

    /// The route of a request; [`RouteId::UNMATCHED`] if none fits. `path` is the raw path without the query.
    pub fn find(&self, method: &str, path: &str) -> RouteId {
        if self.is_empty() {
            return RouteId::UNMATCHED;
        }
        path.strip_prefix('/')
            .and_then(|rest| search(&self.root, method, rest))
            .unwrap_or(RouteId::UNMATCHED)
    }

    /// The path of a route's pattern as it was written, `unmatched` for an unknown number.
    pub fn template(&self, id: RouteId) -> &str {
        self.templates
            .get(id.index())
            .map_or("unmatched", String::as_str)
    }

    /// The templates by number, `unmatched` first.
    pub fn templates(&self) -> &[String] {
        &self.templates
    }

    /// How many routes there are, `unmatched` not counted.
    pub fn len(&self) -> usize {
        self.templates.len() - 1
    }

    /// Whether there are no routes.
    pub fn is_empty(&self) -> bool {
        self.templates.len() == 1
    }
}

fn split_methods(pattern: &str) -> Result<(Vec<Box<str>>, &str), &'static str> {
    let pattern = pattern.trim();
    let (methods, path): (Vec<Box<str>>, &str) = match pattern.split_once(char::is_whitespace) {
        Some((methods, path)) => (
            methods.split('|').map(Box::from).collect(),
            path.trim_start(),
        ),
        None => (Vec::new(), pattern),
    };
    let is_method =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !methods.iter().all(|method| is_method(method)) {
        return Err("the methods before the path are capital letters, such as `GET` or `GET|POST`");
    }
    if !path.starts_with('/') {
        return Err("the path begins with `/`, such as `/v1/users/:id` or `POST /v1/predict*`");
    }
    Ok((methods, path))
}

fn check_characters(path: &str) -> Result<(), &'static str> {
    if path.contains(['?', '#']) {
        return Err("a pattern covers the path only; leave out the query");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("write characters outside ASCII and spaces as they travel, such as `%20`");
    }
    if path[..path.len() - 1].contains('*') {
        return Err("`*` stands at the end only; use `:name` for one segment");
    }
    Ok(())
}

/// Whether the segment is a parameter, in either notation.
fn is_parameter(segment: &str) -> Result<bool, &'static str> {
    let name = if let Some(name) = segment.strip_prefix(':') {
        name
    } else if let Some(inside) = segment.strip_prefix('{') {
        inside
            .strip_suffix('}')
            .ok_or("a parameter is a whole segment, such as `/{name}/`")?
    } else if segment.contains(['{', '}']) {
        return Err("a parameter is a whole segment, such as `/{name}/`");
    } else {
        return Ok(false);
    };
    let named = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if named {
        Ok(true)
    } else {
        Err("the name of a parameter is letters, digits and `_`")
    }
}

fn insert(node: &mut Node, path: &str, leaf: Leaf) -> Result<(), &'static str> {
    let Some((segment, rest)) = path.split_once('/') else {
        if let Some(prefix) = path.strip_suffix('*') {
            if is_parameter(prefix)? {
                return Err("put a `/` between the parameter and `*`");
            }
            let at = match node
                .prefixes
                .iter()
                .position(|(other, _)| &**other == prefix)
            {
                Some(at) => at,
                None => {
                    let at = node
                        .prefixes
                        .partition_point(|(other, _)| other.len() >= prefix.len());
                    node.prefixes.insert(at, (prefix.into(), Vec::new()));
                    at
                }
            };
            push(&mut node.prefixes[at].1, leaf);
        } else {
            push(&mut child(node, path)?.ends, leaf);
        }
        return Ok(());
    };
    insert(child(node, segment)?, rest, leaf)
}

fn child<'a>(node: &'a mut Node, segment: &str) -> Result<&'a mut Node, &'static str> {
    if is_parameter(segment)? {
        return Ok(node.parameter.get_or_insert_default());
    }
    let at = match node
        .literals
        .binary_search_by(|(text, _)| order(text, segment))
    {
        Ok(at) => at,
        Err(at) => {
            node.literals.insert(at, (segment.into(), Node::default()));
            at
        }
    };
    Ok(&mut node.literals[at].1)
}

/// By length first: most comparisons then end without a look at the text.
fn order(one: &str, other: &str) -> std::cmp::Ordering {
    one.len()
        .cmp(&other.len())
        .then_with(|| one.as_bytes().cmp(other.as_bytes()))
}

/// Keeps routes with a method before those for any, each in the order they were declared.
fn push(leaves: &mut Vec<Leaf>, leaf: Leaf) {
    let at = if leaf.methods.is_empty() {
        leaves.len()
    } else {
        leaves.partition_point(|other| !other.methods.is_empty())
    };
    leaves.insert(at, leaf);
}

/// Depth is bounded by the deepest pattern, not by the request.
fn search(node: &Node, method: &str, path: &str) -> Option<RouteId> {
    // Segments are short: counting bytes is cheaper than setting up a search for the slash.
    let (segment, rest) = match path.bytes().position(|byte| byte == b'/') {
        Some(at) => (&path[..at], Some(&path[at + 1..])),
        None => (path, None),
    };
    let descend = |child: &Node| match rest {
        Some(rest) => search(child, method, rest),
        None => pick(&child.ends, method),
    };
    let literal = node
        .literals
        .binary_search_by(|(text, _)| order(text, segment))
        .ok()
        .and_then(|at| descend(&node.literals[at].1));
    if literal.is_some() {
        return literal;
    }
    if !segment.is_empty()
        && let Some(found) = node.parameter.as_deref().and_then(descend)
    {
        return Some(found);
    }
    node.prefixes
        .iter()
        .filter(|(prefix, _)| segment.starts_with(&**prefix))
        .find_map(|(_, leaves)| pick(leaves, method))
}

fn pick(leaves: &[Leaf], method: &str) -> Option<RouteId> {
    leaves
        .iter()
        .find(|leaf| leaf.methods.is_empty() || leaf.methods.iter().any(|own| &**own == method))
        .map(|leaf| leaf.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(patterns: &[&str]) -> RouteTable {
        RouteTable::try_new(patterns).unwrap()
    }

    fn found<'a>(table: &'a RouteTable, method: &str, path: &str) -> &'a str {
        table.template(table.find(method, path))
    }

    #[test]
    fn an_empty_table_matches_nothing() {
        let table = RouteTable::default();
        assert!(table.is_empty());
        assert_eq!(table.find("GET", "/"), RouteId::UNMATCHED);
        assert_eq!(table.template(RouteId::UNMATCHED), "unmatched");
        assert_eq!(table.template(RouteId(9)), "unmatched");
    }

    #[test]
    fn the_most_specific_pattern_wins_whatever_the_order() {
        let patterns = [
            "/*",
            "/users/*",
            "/users/:id",
            "/users/me",
            "/users/:id/posts",
            "/users/m*",
        ];
        for turn in 0..patterns.len() {
            let mut turned = patterns;
            turned.rotate_left(turn);
            let table = table(&turned);
            for (path, expected) in [
                ("/users/me", "/users/me"),
                ("/users/7", "/users/:id"),
                ("/users/m7", "/users/:id"),
                ("/users/me/posts", "/users/:id/posts"),
                ("/users/me/likes", "/users/m*"),
                ("/users/7/likes", "/users/*"),
                ("/users/", "/users/*"),
                ("/users", "/*"),
                ("/", "/*"),
            ] {
                assert_eq!(found(&table, "GET", path), expected, "{path}");
            }
        }
    }

    #[test]
    fn a_dead_end_falls_back_to_the_next_best() {
        let table = table(&["/a/b/c", "/a/:x/d", "/:y/b/e", "POST /a/b/f", "/a/b*"]);
        assert_eq!(found(&table, "GET", "/a/b/c"), "/a/b/c");
        assert_eq!(found(&table, "GET", "/a/b/d"), "/a/:x/d");
        assert_eq!(found(&table, "GET", "/a/b/e"), "/a/b*");
        assert_eq!(found(&table, "GET", "/z/b/e"), "/:y/b/e");
        assert_eq!(found(&table, "POST", "/a/b/f"), "/a/b/f");
        assert_eq!(found(&table, "GET", "/a/b/f"), "/a/b*");
    }

    #[test]
    fn methods_narrow_and_the_first_declared_wins_ties() {
        let table = table(&["/x", "GET|POST /x", "POST /x", "DELETE /y"]);
        assert_eq!(table.find("PUT", "/x"), RouteId(1));
        assert_eq!(table.find("GET", "/x"), RouteId(2));
        assert_eq!(table.find("POST", "/x"), RouteId(2));
        assert_eq!(table.find("DELETE", "/y"), RouteId(4));
        assert_eq!(table.find("delete", "/y"), RouteId::UNMATCHED);
        assert_eq!(table.len(), 4);
        assert_eq!(table.templates(), ["unmatched", "/x", "/x", "/x", "/y"]);
    }

    #[test]
    fn prefixes_take_any_rest_and_parameters_exactly_one_segment() {
        let table = table(&["POST /v1/predict*", "/users/{id}", "/files/:bucket/*"]);
        for path in [
            "/v1/predict",
            "/v1/predict/batch",
            "/v1/predictions",
            "/v1/predict/",
        ] {
            assert_eq!(found(&table, "POST", path), "/v1/predict*", "{path}");
        }
        assert_eq!(found(&table, "GET", "/v1/predict"), "unmatched");
        assert_eq!(found(&table, "GET", "/users/"), "unmatched");
        assert_eq!(found(&table, "GET", "/users/7/"), "unmatched");
        assert_eq!(found(&table, "GET", "/users/7"), "/users/{id}");
        assert_eq!(found(&table, "GET", "/files/b/"), "/files/:bucket/*");
        assert_eq!(found(&table, "GET", "/files/b"), "unmatched");
    }

    #[test]
    fn paths_are_taken_as_they_are() {
        let table = table(&["/a%20b", "/A", "/c/"]);
        assert_eq!(found(&table, "GET", "/a%20b"), "/a%20b");
        for path in [
            "/a b",
            "/a%20B",
            "/a",
            "/c",
            "/c//",
            "//A",
            "/x/../A",
            "",
            "*",
            "A",
            "http://h/A",
        ] {
            assert_eq!(found(&table, "GET", path), "unmatched", "{path}");
        }
    }

    #[test]
    fn bad_patterns_say_how_to_write_them() {
        for bad in [
            "",
            "x",
            "get /x",
            "GET",
            "GET x",
            "GET| /x",
            "/a*b",
            "/a/*/b",
            "/a?b=1",
            "/a#b",
            "/{a}b",
            "/a{b}",
            "/{a",
            "/:",
            "/{}",
            "/:a-b",
            "/:id*",
            "/caf\u{e9}",
            "/a b",
        ] {
            let error = RouteTable::try_new([bad]).unwrap_err();
            assert_eq!(error.pattern, bad);
            assert!(error.problem.len() > 20, "{error}");
        }
        assert!(RouteTable::try_new(vec!["/x"; 65_535]).is_ok());
        assert!(RouteTable::try_new(vec!["/x"; 65_536]).is_err());
    }

    /// What a pattern covers, written the slow and obvious way.
    fn covers(pattern: &str, path: &str) -> bool {
        let (pattern, open) = match pattern.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (pattern, false),
        };
        let wanted: Vec<&str> = pattern.split('/').collect();
        let given: Vec<&str> = if open {
            path.splitn(wanted.len(), '/').collect()
        } else {
            path.split('/').collect()
        };
        wanted.len() == given.len()
            && wanted
                .iter()
                .zip(&given)
                .enumerate()
                .all(|(at, (want, got))| {
                    if open && at + 1 == wanted.len() {
                        got.starts_with(want)
                    } else if want.starts_with(':') {
                        !got.is_empty()
                    } else {
                        want == got
                    }
                })
    }

    /// Literal before parameter before prefix, segment by segment; longer prefixes first.
    fn rank(pattern: &str) -> Vec<(u8, std::cmp::Reverse<usize>)> {
        pattern
            .split('/')
            .map(|segment| match segment {
                _ if segment.ends_with('*') => (2, std::cmp::Reverse(segment.len())),
                _ if segment.starts_with(':') => (1, std::cmp::Reverse(0)),
                _ => (0, std::cmp::Reverse(0)),
            })
            .collect()
    }

    fn pattern() -> impl Strategy<Value = String> {
        let segment = prop_oneof![
            Just(""),
            Just("a"),
            Just("ab"),
            Just("b"),
            Just(":x"),
            Just(":y")
        ];
        let end = prop_oneof![Just(""), Just("/*"), Just("/a*"), Just("/ab*")];
        (proptest::collection::vec(segment, 1..4), end)
            .prop_map(|(segments, end)| format!("/{}{end}", segments.join("/")))
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            patterns in proptest::collection::vec(pattern(), 0..12),
            path in "(/(a|ab|b|abc|c|)){1,5}",
        ) {
            let table = RouteTable::try_new(&patterns).unwrap();
            let expected = (0..patterns.len())
                .filter(|&at| covers(&patterns[at], &path))
                .min_by_key(|&at| (rank(&patterns[at]), at))
                .map_or(0, |at| at + 1);
            prop_assert_eq!(table.find("GET", &path).index(), expected);
        }

        #[test]
        fn never_panics(pattern in "\\PC{0,30}", method in "\\PC{0,8}", path in "\\PC{0,60}") {
            if let Ok(table) = RouteTable::try_new([&pattern, "/a/:b/*"]) {
                prop_assert!(table.find(&method, &path).index() <= 2);
            }
        }
    }
}
