//! What can be banned: one address, one IPv6 /64, or a whole network by hand.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

/// The address that stands for all that its owner can take: itself, or its /64.
pub fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            match translated(address) {
                Some(inner) => inner,
                None => IpAddr::V6(Ipv6Addr::from_bits(prefix)),
            }
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The IPv4 address that came through the well-known prefix of NAT64 (RFC 6052, section 2.1): behind it, a /64 is everybody. The
/// prefix alone is nobody's, and stands for what else lies in its /64.
fn translated(address: Ipv6Addr) -> Option<IpAddr> {
    let segments = address.segments();
    let is_translated = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let octets = address.octets();
    let inner = IpAddr::from([octets[12], octets[13], octets[14], octets[15]]);
    (is_translated && !inner.is_unspecified()).then_some(inner)
}

/// What an operator names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// An address, as [`key`] gives it.
    Address(IpAddr),
    /// A network of several.
    Network(IpNet),
}

/// What is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: write 203.0.113.7, 2001:db8::1 or a network such as 203.0.113.0/24")]
pub struct InvalidTarget(pub String);

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(key(address)));
        }
        let network: IpNet = text.parse().map_err(|_| InvalidTarget(text.to_owned()))?;
        let single = match network {
            IpNet::V4(network) => network.prefix_len() == 32,
            IpNet::V6(network) => network.prefix_len() >= 64,
        };
        Ok(if single {
            Self::Address(key(network.addr()))
        } else {
            Self::Network(network.trunc())
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(prefix)) => write!(f, "{prefix}/64"),
            Self::Address(address) => address.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_one_address_of_a_prefix_has_all() {
        let one: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let other: IpAddr = "2001:db8:1:2:ffff::".parse().unwrap();
        let next: IpAddr = "2001:db8:1:3::".parse().unwrap();
        assert_eq!(key(one), key(other));
        assert_ne!(key(one), key(next));
    }

    #[test]
    fn an_address_has_no_second_spelling() {
        let plain: IpAddr = "203.0.113.7".parse().unwrap();
        for spelling in ["::ffff:203.0.113.7", "64:ff9b::203.0.113.7"] {
            assert_eq!(key(spelling.parse().unwrap()), plain, "{spelling}");
        }
        let neighbour = key("64:ff9b::203.0.113.8".parse().unwrap());
        assert_ne!(neighbour, plain, "a whole country is behind that prefix");
        for address in ["64:ff9b::1:0:0", "64:ff9b::", "64:ff9b::203.0.113.7"] {
            let once = key(address.parse().unwrap());
            assert_eq!(key(once), once, "{address} stands for itself");
        }
    }

    #[test]
    fn targets_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("203.0.113.7", "203.0.113.7"),
            (" 203.0.113.7/32", "203.0.113.7"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8::1/128", "2001:db8::/64"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
            assert_eq!(shown.parse::<Target>().unwrap(), target);
        }
        for text in ["", "host", "1.2.3", "203.0.113.7/33", "203.0.113.7\r\n1"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
