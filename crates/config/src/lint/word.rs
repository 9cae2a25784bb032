//! Names of keys that stand before secrets.

use super::shape;

/// Ends of names whose value is a secret, whatever it looks like.
const SECRETS: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "secret_key",
    "private_key",
    "signing_key",
    "encryption_key",
    "credential",
    "credentials",
    "pepper",
];
/// Ends of names whose value may be a secret.
const KEYS: [&str; 2] = ["_key", "_auth"];
/// Ends of names whose value is the mark of something, and random on purpose.
const DIGESTS: [&str; 12] = [
    "sha",
    "sha1",
    "sha256",
    "digest",
    "hash",
    "checksum",
    "commit",
    "etag",
    "fingerprint",
    "image",
    "integrity",
    "uuid",
];

/// The name in lower case with underscores.
fn flat(key: &str) -> String {
    let mut flat = String::with_capacity(key.len());
    let mut was_lower = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && was_lower {
            flat.push('_');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        flat.push(if c == '-' || c == '.' {
            '_'
        } else {
            c.to_ascii_lowercase()
        });
    }
    flat
}

fn ends_in(key: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let before = key.strip_suffix(word);
        before.is_some_and(|before| {
            before.is_empty() || before.ends_with('_') || word.starts_with('_')
        })
    })
}

/// Whether a number after this key is a password and no measure.
pub(super) fn is_password(key: &str) -> bool {
    ends_in(&flat(key), &SECRETS[..3])
}

/// Whether what follows this key is the mark of something.
pub(super) fn names_a_digest(key: &str) -> bool {
    ends_in(&flat(key), &DIGESTS)
}

/// Whether the name says that the value is a secret.
pub(super) fn names_a_secret(key: &str, value: &str) -> bool {
    let (key, value) = (flat(key), value.trim());
    if ends_in(&key, &SECRETS) {
        // A mapping may be by kind of login: `api_key: 100/min`.
        let is_rate = is_measure(value) && !ends_in(&key, &SECRETS[..3]);
        return !is_harmless(value) && !is_rate;
    }
    ends_in(&key, &KEYS) && !is_harmless(value) && (shape::has_prefix(value) || is_mixed(value))
}

/// Whether a value says where the secret is, or that there is none.
fn is_harmless(value: &str) -> bool {
    let is_place = value.starts_with(['/', '~', '<'])
        || value.starts_with("./")
        || value.contains("://") && shape::known(value).is_none();
    let masked = value.chars().all(|c| c == '*' || c == 'x' || c == 'X')
        || value.eq_ignore_ascii_case("redacted")
        || value == "[REDACTED]";
    let is_variable = value.contains('_')
        && value
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let no_word = [
        "none", "null", "true", "false", "off", "on", "required", "optional",
    ]
    .contains(&value);
    value.is_empty() || is_place || masked || is_variable || no_word
}

/// A number with a unit, such as `100/min` or `10s`.
fn is_measure(value: &str) -> bool {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    unit.len() < value.len()
        && unit.len() <= 12
        && unit
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'/')
}

/// Letters and digits in one word of some length.
fn is_mixed(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.as_bytes().iter().any(test);
    value.len() >= 12
        && !value.contains(' ')
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_habit() {
        for key in [
            "password",
            "DB_PASSWORD",
            "clientSecret",
            "api-key",
            "X-Api-Key",
            "OPENAI_API_KEY",
            "jwt.token",
        ] {
            assert!(names_a_secret(key, "hunter2"), "{key}");
        }
        for key in [
            "tokens",
            "secrets",
            "secretary",
            "password_file",
            "keys_header",
            "broken",
            "monkey",
        ] {
            assert!(!names_a_secret(key, "hunter2"), "{key}");
        }
        assert!(
            names_a_secret("openai_key", "sk-abc...") && !names_a_secret("sort_key", "created_at")
        );
        assert!(!names_a_secret("api_key", "100/min") && names_a_secret("password", "100min"));
        assert!(
            !names_a_secret("token", "GITHUB_TOKEN")
                && is_password("pg_password")
                && !is_password("token")
        );
    }
}
