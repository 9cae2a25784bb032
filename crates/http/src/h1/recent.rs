//! What was read last on a connection, so that the same bytes need not be read again.
//!
//! Whoever keeps a connection says nearly the same on it over and over: a client its names and its cookies, an app its
//! kind of answer. Comparing bytes costs a twentieth of parsing them, and what equal bytes were read as is equal. It is
//! HPACK's observation, made use of on one side.
//!
//! It belongs to one connection and ends with it: what a client sends is seen by nobody else, not even by how long an
//! answer took. Bytes that come once are only compared and copied; what they say is kept from the second time on.

use std::fmt;

use bytes::Bytes;

/// Longer ones are not kept, so that a connection costs no more than a few of these.
const LONGEST: usize = 2 * 1024;

/// The last block of its kind, and what it says if it has come twice in a row.
pub struct Recent<T> {
    bytes: Vec<u8>,
    read: Option<T>,
}

impl<T> fmt::Debug for Recent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the bytes nor what they say: there may be secrets among them.
        f.debug_struct("Recent")
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            read: None,
        }
    }
}

impl<T> Recent<T> {
    /// What `input` begins with was read as, and its length, if it was what came last. A block has to say by its own bytes
    /// where it ends, as a line and a head do.
    pub fn find(&self, input: &[u8]) -> Option<(&T, usize)> {
        let read = self.read.as_ref()?;
        input
            .starts_with(&self.bytes)
            .then_some((read, self.bytes.len()))
    }

    /// What the last block says, if it has come twice.
    pub fn last(&self) -> Option<&T> {
        self.read.as_ref()
    }

    /// Takes note of a block that was read. If it is the one before, `read` says what it means, in bytes that do not hold
    /// on to what else came in with it.
    pub fn saw(&mut self, block: &[u8], read: impl FnOnce(Bytes) -> Option<T>) {
        debug_assert!(!block.is_empty(), "everything begins with nothing");
        if block == self.bytes {
            if self.read.is_none() {
                self.read = read(Bytes::copy_from_slice(block));
            }
            return;
        }
        self.read = None;
        self.bytes.clear();
        if block.len() <= LONGEST {
            self.bytes.extend_from_slice(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_twice_is_known_until_something_else_comes() {
        let mut recent = Recent::default();
        recent.saw(b"a\n", |_| Some(1));
        assert_eq!(recent.find(b"a\n"), None, "once is not enough");
        recent.saw(b"a\n", |own| (own == "a\n").then_some(2));
        assert_eq!(recent.find(b"a\nb\n"), Some((&2, 2)));
        assert_eq!(format!("{recent:?}"), "Recent { length: 2, .. }");
        assert_eq!(recent.find(b"a"), None);
        assert_eq!(recent.find(b"b\n"), None);
        recent.saw(b"b\n", |_| Some(3));
        assert_eq!(recent.find(b"a\n"), None);
        assert_eq!(recent.find(b"b\n"), None);
    }

    #[test]
    fn what_is_long_or_means_nothing_is_not_kept() {
        let mut recent = Recent::default();
        for _ in 0..3 {
            let long = vec![b'a'; LONGEST + 1];
            recent.saw(&long, |_| Some(1));
            assert_eq!(recent.find(&long), None);
            assert!(recent.bytes.is_empty());
        }
        for _ in 0..3 {
            recent.saw(b"a\n", |_| None);
            assert_eq!(recent.find(b"a\n"), None);
        }
    }
}
