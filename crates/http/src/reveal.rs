//! How much of an address or a name is shown to those who may see that there is one.
//!
//! An address is personal and yet what an operator needs to recognise an attack by. So the same thing is shown in one of three
//! ways, everywhere: whole, with its last part left out, or as a hash that only tells whether two are the same. The hash of an
//! IPv4 address can be found by trying all of them; that is why there is a pepper.

use std::net::IpAddr;

use aws_lc_rs::{digest, hmac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is shown of somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reveal {
    /// Everything: `203.0.113.7`.
    Raw,
    /// All but the last part: `203.0.113.x`.
    #[default]
    Masked,
    /// SHA-256 in hexadecimal digits.
    Hash,
}

impl Reveal {
    /// An address.
    pub fn address(self, address: IpAddr) -> String {
        match (self, address) {
            (Self::Raw, address) => address.to_string(),
            (Self::Masked, IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                format!("{a}.{b}.{c}.x")
            }
            (Self::Masked, IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:x")
            }
            (Self::Hash, address) => sha256(&address.to_string()),
        }
    }

    /// A name, such as the subject of a token; an address among names is masked as one.
    pub fn name(self, name: &str) -> String {
        if let Ok(address) = name.parse() {
            return self.address(address);
        }
        match self {
            Self::Raw => name.to_owned(),
            Self::Masked => {
                let shown = name.chars().count().div_ceil(3).min(4);
                name.chars().take(shown).chain("***".chars()).collect()
            }
            Self::Hash => sha256(name),
        }
    }
}

/// The SHA-256 of `text`, as `printf %s TEXT | sha256sum` shows it.
pub fn sha256(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// The same with a pepper: HMAC-SHA-256, so that nobody without it can try all addresses.
pub fn peppered(pepper: &[u8], text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, pepper);
    hex(hmac::sign(&key, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_shows_what_it_says() {
        let v4: IpAddr = "203.0.113.7".parse().unwrap();
        let v6: IpAddr = "2001:db8:1:2::3".parse().unwrap();
        assert_eq!(Reveal::Raw.address(v4), "203.0.113.7");
        assert_eq!(Reveal::Masked.address(v4), "203.0.113.x");
        assert_eq!(Reveal::Masked.address(v6), "2001:db8:1:x");
        assert_eq!(Reveal::Masked.name("203.0.113.7"), "203.0.113.x");
        assert_eq!(Reveal::Masked.name("alexandra"), "ale***");
        assert_eq!(Reveal::Masked.name("1"), "1***");
        let hashed = Reveal::Hash.address("127.0.0.1".parse().unwrap());
        assert_eq!(
            hashed, "12ca17b49af2289436f303e0166030a21e525d266e209267433801a8fd4071a0",
            "printf %s 127.0.0.1 | sha256sum"
        );
        assert_ne!(peppered(b"x", "127.0.0.1"), hashed);
    }
}
