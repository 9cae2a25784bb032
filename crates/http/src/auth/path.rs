//! Paths that an app might read differently from us.
//!
//! Routes match raw paths, so a path that is spelled in another way misses a route and falls under the general rule, or under
//! a route that takes any rest. That is harmless while what it falls under is the strictest. Where a route or a policy asks for
//! more, two things are done: a path with two readings is refused, and one that is a route's but for case or a last slash
//! falls under that route. Where a route with an open end asks for less than the rest (`/public*` for nothing), a path with
//! two readings is refused under it, or `/public/../admin` would come by.

use std::cmp::Reverse;

use seaworthy_core::route::RouteTable;

use super::Mode;

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub struct Strictness {
    /// Whether paths with two readings are refused everywhere.
    refuse: bool,
    /// Such paths are refused at least where less than this is asked.
    below: Option<Mode>,
    /// What other spellings are looked up in, where a route asks for more than what they fall under.
    folded: Option<Folded>,
}

#[derive(Debug)]
struct Folded {
    /// All routes in small letters: those that ask for less have to be found too, where they are meant.
    all: Routes,
    /// Those that ask for more, without the slash at the end. `*` takes a slash anyway.
    short: Routes,
}

#[derive(Debug)]
struct Routes {
    table: RouteTable,
    modes: Vec<Mode>,
    /// Whether the pattern says the whole path.
    literal: Vec<bool>,
}

impl Strictness {
    /// What `patterns` with their modes make necessary, beside `general` and perhaps a policy.
    pub fn of<'a>(
        patterns: impl IntoIterator<Item = (&'a str, Mode)>,
        general: Mode,
        has_policy: bool,
    ) -> Self {
        let patterns: Vec<(&str, Mode)> = patterns.into_iter().collect();
        let open = patterns.iter().filter(|(pattern, _)| is_open(pattern));
        let least = open
            .map(|(_, mode)| *mode)
            .fold(general, |one, other| one.min(other));
        let is_needed = patterns.iter().any(|(_, mode)| *mode > least);
        Self {
            refuse: has_policy || patterns.iter().any(|(_, mode)| *mode > general),
            below: (least < general).then_some(general),
            folded: is_needed.then(|| Folded::of(&patterns, least)).flatten(),
        }
    }

    /// Whether a request for `path` has to be refused that is asked for `mode`.
    pub(super) fn refuses(&self, path: &str, mode: Mode) -> bool {
        let matters = self.refuse || self.below.is_some_and(|general| mode < general);
        matters && is_ambiguous(path)
    }

    /// What a request asks that misses its route by case or a last slash.
    pub(super) fn mode(&self, method: &str, path: &str) -> Option<Mode> {
        self.folded.as_ref()?.mode(method, path)
    }
}

impl Folded {
    fn of(patterns: &[(&str, Mode)], least: Mode) -> Option<Self> {
        let stricter = patterns.iter().filter(|(_, mode)| *mode > least);
        let stricter = stricter.filter(|(pattern, _)| !pattern.contains('*'));
        let all = patterns
            .iter()
            .map(|(pattern, mode)| (pattern.trim(), *mode));
        Some(Self {
            short: Routes::of(stricter.map(|(pattern, mode)| (shorten(pattern.trim()), *mode)))?,
            all: Routes::of(all)?,
        })
    }

    fn mode(&self, method: &str, path: &str) -> Option<Mode> {
        let path = path.to_ascii_lowercase();
        let found = self.all.find(method, &path);
        if let Some((mode, true)) = found {
            return Some(mode);
        }
        let short = self.short.find(method, shorten(&path));
        found.max(short).map(|(mode, _)| mode)
    }
}

impl Routes {
    /// The stricter first: of two that are the same in small letters it wins.
    fn of<'a>(patterns: impl Iterator<Item = (&'a str, Mode)>) -> Option<Self> {
        let mut patterns: Vec<(&str, Mode)> = patterns.collect();
        patterns.sort_by_key(|(_, mode)| Reverse(*mode));
        // Patterns that were accepted are accepted in small letters.
        let folded = patterns.iter().map(|(pattern, _)| fold(pattern));
        Some(Self {
            table: RouteTable::try_new(folded).ok()?,
            literal: patterns.iter().map(|(text, _)| !is_open(text)).collect(),
            modes: patterns.into_iter().map(|(_, mode)| mode).collect(),
        })
    }

    fn find(&self, method: &str, path: &str) -> Option<(Mode, bool)> {
        let at = self.table.find(method, path).index().checked_sub(1)?;
        Some((*self.modes.get(at)?, *self.literal.get(at)?))
    }
}

/// Whether it covers paths that are not written in it.
fn is_open(pattern: &str) -> bool {
    pattern.contains(['*', ':', '{'])
}

/// The path of a pattern in small letters; its methods stay.
fn fold(pattern: &str) -> String {
    match pattern.split_once(char::is_whitespace) {
        Some((methods, path)) => format!("{methods} {}", path.to_ascii_lowercase()),
        None => pattern.to_ascii_lowercase(),
    }
}

/// Without slashes at the end; the root keeps its own.
fn shorten(path: &str) -> &str {
    let short = path.trim_end_matches('/');
    if short.is_empty() || short.ends_with(char::is_whitespace) {
        path.get(..=short.len()).unwrap_or(path)
    } else {
        short
    }
}

/// Whether servers differ on what it means: empty and dot segments, what is encoded without need, encoded separators,
/// backslashes, and parameters of segments.
fn is_ambiguous(path: &str) -> bool {
    let bytes = path.as_bytes();
    let dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    let escaped = bytes
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'%' && decoded(&bytes[at + 1..]).is_none_or(has_two_readings));
    dots || escaped || path.contains("//") || path.contains(['\\', ';'])
}

fn decoded(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

fn has_two_readings(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._~/\\;%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_two_readings_are_refused_where_it_matters() {
        let strict = Strictness::of([], Mode::Optional, true);
        let lax = Strictness::of([("/public*", Mode::None)], Mode::Required, false);
        for path in [
            "//admin",
            "/./admin",
            "/x/../admin",
            "/%2e%2e/admin",
            "/%2E%2E/",
            "/%61dmin",
            "/admin%2f",
            "/admin%2F",
            "/admin;x",
            "/a\\b",
            "/admin/..",
            "/.",
            "/a%",
            "/a%0",
            "/a%zz",
            "/a%00",
            "/%2561dmin",
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public;/../admin",
        ] {
            assert!(strict.refuses(path, Mode::None), "{path}");
            assert!(lax.refuses(path, Mode::None), "{path}");
            assert!(!lax.refuses(path, Mode::Required), "{path}");
            assert!(!Strictness::default().refuses(path, Mode::None), "{path}");
        }
        for path in ["/", "/admin", "/a%20b", "/%C3%A4", "/a.b/..c", "/admin/"] {
            assert!(!strict.refuses(path, Mode::Required), "{path}");
            assert!(!lax.refuses(path, Mode::None), "{path}");
        }
    }

    #[test]
    fn a_stricter_route_covers_its_other_spellings() {
        let patterns = [
            ("/Admin", Mode::Required),
            ("POST /files/:Name", Mode::Required),
            ("/free", Mode::None),
        ];
        let strict = Strictness::of(patterns, Mode::Optional, false);
        assert_eq!(strict.mode("GET", "/ADMIN"), Some(Mode::Required));
        assert_eq!(strict.mode("GET", "/admin//"), Some(Mode::Required));
        assert_eq!(strict.mode("POST", "/FILES/x/"), Some(Mode::Required));
        assert_eq!(strict.mode("GET", "/files/x"), None);
        assert_ne!(strict.mode("GET", "/FREE"), Some(Mode::Required));
        let exact = Strictness::of([("/free", Mode::None)], Mode::Required, false);
        assert!(!exact.refuses("/free/../x", Mode::None) && exact.folded.is_none());
    }

    #[test]
    fn a_route_under_a_laxer_one_covers_its_other_spellings_too() {
        let patterns = [
            ("/public/*", Mode::None),
            ("/public/admin", Mode::Required),
            ("/users/:id", Mode::Required),
            ("/users/me", Mode::None),
            ("/users/you/", Mode::None),
            ("/fi*", Mode::Required),
            ("/files/", Mode::None),
            ("/*", Mode::Required),
        ];
        let strict = Strictness::of(patterns, Mode::Optional, false);
        for path in ["/public/ADMIN", "/public/admin/", "/Public/Admin"] {
            assert_eq!(strict.mode("GET", path), Some(Mode::Required), "{path}");
        }
        assert_eq!(strict.mode("OPTIONS", ""), None);
        // What asks for less by its own name still does.
        for path in [
            "/public/x",
            "/public/",
            "/users/me",
            "/users/you/",
            "/files/",
        ] {
            assert_eq!(strict.mode("GET", path), Some(Mode::None), "{path}");
        }
        for path in ["/users/you", "/users/me/", "/FILES", "/", "/x/"] {
            assert_eq!(strict.mode("GET", path), Some(Mode::Required), "{path}");
        }
    }

    #[test]
    fn wildcards_that_ask_for_less_make_paths_with_two_readings_dangerous() {
        for open in ["/files/*", "/files*", "/files/:id", "/files/{id}"] {
            let strict = Strictness::of([(open, Mode::Optional)], Mode::Required, false);
            assert!(strict.refuses("/files/..", Mode::Optional), "{open}");
            assert!(!strict.refuses("/files/..", Mode::Required), "{open}");
        }
    }
}
