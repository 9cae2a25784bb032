//! Addresses that hold the secrets of the machine.
//!
//! Clouds hand out credentials to whoever asks at a link-local address, so nothing that a configuration, a document or a name leads to
//! may end there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Alibaba Cloud's, which is none of the link-local ones.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// The beginning of AWS's addresses for it in IPv6.
const AWS: [u16; 2] = [0xfd00, 0x0ec2];
/// Names that lead there without asking DNS.
const NAMES: [&str; 3] = ["metadata.google.internal", "metadata", "instance-data"];

/// Whether nobody means to call this address: it is link-local, or a cloud's.
#[must_use]
pub fn is_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || address == ALIBABA,
        IpAddr::V6(address) => is_v6(address),
    }
}

fn is_v6(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local() || address.segments()[..2] == AWS
}

/// Whether this host is one, by its address or its name.
#[must_use]
pub fn is_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse() {
        Ok(address) => is_address(address),
        Err(_) => {
            let name = host.trim_end_matches('.');
            NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clouds_answer_at_is_known_in_every_form() {
        for host in [
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "169.254.170.2",
            "100.100.100.200",
            "fd00:ec2::254",
            "[fe80::1]",
            "Metadata.google.internal.",
            "metadata",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "169.253.1.1",
            "10.0.0.1",
            "::1",
            "fd00:ec3::1",
            "example.com",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}
