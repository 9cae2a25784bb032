//! Which requests a rule covers: those of a route that names it, those of patterns of its own, or all that are left.

use std::fmt;

use http::{Method, Uri};
use seaworthy_core::route::{RouteId, RouteTable};

/// Finds what covers a request. An empty one costs a look at a flag.
pub struct Cover<T> {
    /// By the number of the route, the first for requests without one.
    by_route: Box<[Option<T>]>,
    patterns: RouteTable,
    /// By the number of the pattern, from 1.
    by_pattern: Box<[T]>,
    rest: Option<T>,
    empty: bool,
}

impl<T> Default for Cover<T> {
    fn default() -> Self {
        Self::new(Vec::new(), RouteTable::default(), Vec::new(), None)
    }
}

impl<T> Cover<T> {
    /// `by_route` names what covers each route, `by_pattern` what covers each pattern of `patterns`, `rest` what covers
    /// whatever neither does.
    pub fn new(
        by_route: Vec<Option<T>>,
        patterns: RouteTable,
        by_pattern: Vec<T>,
        rest: Option<T>,
    ) -> Self {
        let unnamed = by_route.iter().all(Option::is_none);
        let empty = unnamed && by_pattern.is_empty() && rest.is_none();
        Self {
            by_route: if unnamed {
                Box::default()
            } else {
                by_route.into()
            },
            patterns,
            by_pattern: by_pattern.into(),
            rest,
            empty,
        }
    }

    /// One thing that covers every request.
    pub fn all(rest: T) -> Self {
        Self::new(Vec::new(), RouteTable::default(), Vec::new(), Some(rest))
    }

    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// What covers a request. Its route is only asked for where routes are covered.
    pub fn find(&self, route: impl FnOnce() -> RouteId, method: &Method, uri: &Uri) -> Option<&T> {
        if self.empty {
            return None;
        }
        let named = match &*self.by_route {
            [] => None,
            by_route => by_route.get(route().index()).and_then(Option::as_ref),
        };
        named
            .or_else(|| {
                let pattern = self.patterns.find(method.as_str(), uri.path());
                self.by_pattern.get(pattern.index().checked_sub(1)?)
            })
            .or(self.rest.as_ref())
    }
}

impl<T> fmt::Debug for Cover<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cover")
            .field("empty", &self.empty)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_it_before_a_pattern_does_and_the_rest_comes_last() {
        let patterns = RouteTable::try_new(["/api/algorithm*", "POST /pay"]).expect("patterns");
        let cover = Cover::new(
            vec![None, Some("route")],
            patterns,
            vec!["algorithm", "pay"],
            Some("rest"),
        );
        let find = |route, method: Method, path: &str| {
            let uri = path.parse().expect("a path");
            cover.find(|| RouteId(route), &method, &uri).copied()
        };
        assert_eq!(find(1, Method::GET, "/api/algorithm"), Some("route"));
        assert_eq!(find(0, Method::GET, "/api/algorithm/x"), Some("algorithm"));
        assert_eq!(find(2, Method::POST, "/pay?a=b"), Some("pay"));
        assert_eq!(find(9, Method::GET, "/pay"), Some("rest"));
        assert!(!cover.is_empty() && Cover::<u8>::default().is_empty());
    }
}
