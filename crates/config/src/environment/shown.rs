//! How a value is shown in a message: in quotes, cut, and without the password of a URL.

use crate::secret::MASK;

/// More of a value tells a person nothing.
const LONGEST: usize = 80;

/// The value without what stands between `://` and the last `@` before the path.
pub(super) fn masked(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold a slash that nobody encoded; what looks like a host behind the last `@` then ends it.
    let end = match rest[..authority].rfind('@') {
        Some(at) => Some(at),
        None => rest.rfind('@'),
    };
    match end {
        Some(at) => format!("{scheme}://{MASK}{}", &rest[at..]),
        None => value.to_owned(),
    }
}

/// The value as a message repeats it.
pub(super) fn quoted(value: &str) -> String {
    let value = masked(value);
    let mut cut: String = value.chars().take(LONGEST).collect();
    if cut.len() < value.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}
