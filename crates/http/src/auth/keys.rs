//! API keys: known by their hashes only.
//!
//! A key is looked up by its SHA-256, so neither the file nor the memory holds one, and how long a look-up takes says
//! nothing about a key: whoever guesses cannot choose how much of a hash is right. Keys are random texts of a machine; a
//! fast hash is enough for those and would not be for passwords.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use seaworthy_core::principal::{Kind, Principal};

/// A key that is longer is none.
const LONGEST: usize = 1024;
/// A name that is longer is a mistake.
const LONGEST_NAME: usize = 128;

/// The SHA-256 of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The keys of one file.
#[derive(Clone, Default)]
pub struct Keys(HashMap<[u8; 32], Arc<Principal>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

/// A line that names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct NotAKey {
    /// Counted from one.
    pub line: usize,
    /// What is wrong and how to write it.
    pub problem: &'static str,
}

impl Keys {
    /// Reads lines of `sha256hex tier [name]`; `#` begins a comment.
    ///
    /// # Errors
    /// The first line that is none. It is not repeated: somebody may have put a key where its hash belongs.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let mut keys = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let wrong = |problem| NotAKey {
                line: at + 1,
                problem,
            };
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(hash) = words.next() else {
                continue;
            };
            let hash = unhex(hash)
                .ok_or_else(|| wrong("a line begins with the SHA-256 of a key in 64 hex digits; `printf %s KEY | sha256sum` prints it"))?;
            let tier = words
                .next()
                .ok_or_else(|| wrong("the tier is missing; write `HASH TIER [NAME]`"))?;
            let name = words.collect::<Vec<_>>().join(" ");
            if tier.len() > LONGEST_NAME || name.len() > LONGEST_NAME {
                return Err(wrong("tier and name have at most 128 characters"));
            }
            let principal = Principal {
                kind: Kind::ApiKey,
                // A name may be given twice, to a key and to the one that replaces it: they share a bucket then.
                id: if name.is_empty() { hex(&hash) } else { name }.into(),
                tier: Some(tier.into()),
            };
            if keys.insert(hash, Arc::new(principal)).is_some() {
                return Err(wrong("this key is listed twice; keep one of the two"));
            }
        }
        Ok(Self(keys))
    }

    /// Who has this key.
    pub fn find(&self, key: &[u8]) -> Option<Arc<Principal>> {
        if key.is_empty() || key.len() > LONGEST {
            return None;
        }
        self.0.get(&sha256(key)).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tiers that keys have.
    pub fn tiers(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|key| key.tier.as_deref())
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(hash)
}

fn hex(hash: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    hash.iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a text cannot fail.
            write!(text, "{byte:02x}").ok();
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The SHA-256 of `k1`.
    const K1: &str = "6ab9f1eb8f7d3388f4f9d586f66e99fd54080df2c446f0e58668b09c08a16dd0";

    #[test]
    fn a_key_is_found_by_its_hash_and_by_nothing_else() {
        let upper = K1.to_uppercase();
        let text = format!("# keys\n\n{upper} premium  the shop  # since May\n");
        let keys = Keys::parse(&text).unwrap();
        let found = keys.find(b"k1").unwrap();
        assert_eq!(
            (&*found.id, found.tier.as_deref()),
            ("the shop", Some("premium"))
        );
        assert_eq!(keys.len(), 1);
        assert!(keys.find(b"k2").is_none() && keys.find(b"").is_none());
        assert!(keys.find(K1.as_bytes()).is_none());
        assert!(keys.find(&vec![b'k'; LONGEST + 1]).is_none());
        let unnamed = Keys::parse(&format!("{K1} api_key")).unwrap();
        assert_eq!(&*unnamed.find(b"k1").unwrap().id, K1);
    }

    #[test]
    fn a_line_that_is_none_is_named_and_not_repeated() {
        for (text, line) in [
            ("hunter2 premium", 1),
            (&*format!("\n{K1}"), 2),
            (&*format!("{K1} a\n{K1} b"), 2),
            (&*format!("{}g premium", &K1[1..]), 1),
        ] {
            let error = Keys::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
