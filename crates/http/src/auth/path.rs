//! Paths that an app might read differently from us.
//!
//! Routes match raw paths, so a path that is spelled in another way misses a route and falls under the general rule. That is
//! harmless while the general rule is the strict one. Where a route or a policy is stricter, two things are done: a path with
//! two readings is refused, and one that is a route's but for case or a last slash falls under that route.

use seaworthy_core::route::RouteTable;

use super::Mode;

/// See the [module documentation](self).
#[derive(Debug, Default)]
pub struct Strictness {
    /// Whether paths with two readings are refused.
    refuse: bool,
    /// The stricter routes, folded, and what they ask.
    folded: Option<(RouteTable, Vec<Mode>)>,
}

impl Strictness {
    /// What `patterns` with their modes make necessary, beside `general` and perhaps a policy.
    pub fn of<'a>(
        patterns: impl IntoIterator<Item = (&'a str, Mode)>,
        general: Mode,
        has_policy: bool,
    ) -> Self {
        let stricter = patterns.into_iter().filter(|(_, mode)| *mode > general);
        let (folded, modes): (Vec<String>, Vec<Mode>) = stricter
            .map(|(pattern, mode)| (fold_pattern(pattern), mode))
            .unzip();
        // Patterns that were accepted are accepted in small letters.
        let table = RouteTable::try_new(&folded)
            .ok()
            .filter(|table| !table.is_empty());
        Self {
            refuse: has_policy || table.is_some(),
            folded: table.map(|table| (table, modes)),
        }
    }

    /// Whether a request for `path` has to be refused.
    pub(super) fn refuses(&self, path: &str) -> bool {
        self.refuse && is_ambiguous(path)
    }

    /// What a request asks that misses its route by case or a last slash.
    pub(super) fn mode(&self, method: &str, path: &str) -> Option<Mode> {
        let (table, modes) = self.folded.as_ref()?;
        let found = table.find(method, &fold(path)).index();
        modes.get(found.checked_sub(1)?).copied()
    }
}

fn fold(path: &str) -> String {
    let short = path.trim_end_matches('/');
    if short.is_empty() {
        "/".to_owned()
    } else {
        short.to_ascii_lowercase()
    }
}

/// The path of a pattern in small letters; its methods stay.
fn fold_pattern(pattern: &str) -> String {
    match pattern.trim().split_once(char::is_whitespace) {
        Some((methods, path)) => format!("{methods} {}", fold(path.trim())),
        None => fold(pattern.trim()),
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
        ] {
            assert!(strict.refuses(path), "{path}");
            assert!(!Strictness::default().refuses(path), "{path}");
        }
        for path in ["/", "/admin", "/a%20b", "/%C3%A4", "/a.b/..c", "/admin/"] {
            assert!(!strict.refuses(path), "{path}");
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
        assert_eq!(strict.mode("GET", "/FREE"), None);
        assert!(!Strictness::of([("/free", Mode::None)], Mode::Required, false).refuse);
    }
}
