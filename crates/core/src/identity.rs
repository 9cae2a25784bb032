//! Who the client is, when proxies may stand in between.
//!
//! Anyone can write `X-Forwarded-For`, so an entry counts only if the machine that appended it is trusted: the walk goes
//! from the peer leftwards and ends at the first address that nobody vouches for further. Reading the leftmost entry, as
//! many do, would let every client choose its own address and escape any ban. Only `X-Forwarded-For` is read: where a
//! proxy sends `Forwarded` as well, two lists that disagree would be a way to lie.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machines whose `X-Forwarded-For` is believed. A peer on a unix socket always is.
///
/// Written as a list of CIDR ranges, addresses, and the words `loopback` (127.0.0.0/8, ::1) and `private` (10.0.0.0/8,
/// 172.16.0.0/12, 192.168.0.0/16, fc00::/7).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// The same as bits and mask: every forwarded request is compared with all of them, more than once.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// An entry of the list that is neither a range, an address nor a known word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a network: write a CIDR range such as 10.0.0.0/8, an address, `loopback` or `private`"
)]
pub struct InvalidNetwork(pub String);

impl TrustedProxies {
    /// Reads the list.
    ///
    /// # Errors
    ///
    /// Names the first entry that cannot be understood.
    pub fn try_new<S: AsRef<str>>(
        entries: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidNetwork> {
        let mut networks = Vec::new();
        for entry in entries {
            let entry = entry.as_ref().trim();
            match entry {
                "loopback" => networks.extend([net_v4([127, 0, 0, 0], 8), loopback_v6()]),
                "private" => networks.extend([
                    net_v4([10, 0, 0, 0], 8),
                    net_v4([172, 16, 0, 0], 12),
                    net_v4([192, 168, 0, 0], 16),
                    unique_local_v6(),
                ]),
                _ => networks.push(network(entry).ok_or_else(|| InvalidNetwork(entry.into()))?),
            }
        }
        Ok(Self::from_networks(networks))
    }

    fn from_networks(networks: Vec<IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in &networks {
            match network {
                IpNet::V4(network) => {
                    v4.push((network.network().to_bits(), network.netmask().to_bits()));
                }
                IpNet::V6(network) => {
                    v6.push((network.network().to_bits(), network.netmask().to_bits()));
                }
            }
        }
        Self { networks, v4, v6 }
    }

    /// Whether this address may speak for others.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let ip = ip.to_bits();
                self.v4.iter().any(|(bits, mask)| ip & mask == *bits)
            }
            IpAddr::V6(ip) => {
                let ip = ip.to_bits();
                self.v6.iter().any(|(bits, mask)| ip & mask == *bits)
            }
        }
    }

    /// Whether no address is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }
}

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = InvalidNetwork;

    fn try_from(entries: Vec<String>) -> Result<Self, InvalidNetwork> {
        Self::try_new(entries)
    }
}

impl From<TrustedProxies> for Vec<String> {
    fn from(proxies: TrustedProxies) -> Self {
        proxies.networks.iter().map(IpNet::to_string).collect()
    }
}

/// The client of a request, and how much of the forwarding list may be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address; `None` when the peer is a unix socket that names nobody.
    pub ip: Option<IpAddr>,
    /// How many of the rightmost entries of `X-Forwarded-For` are vouched for, the client's own included.
    pub hops: usize,
    /// Whether the peer itself is trusted, so that its other forwarding headers may be believed too.
    pub peer_trusted: bool,
}

/// Finds the client: the rightmost address that is not trusted, or the leftmost vouched one if all are.
///
/// `peer` is `None` on a unix socket; `forwarded_for` yields the lines of `X-Forwarded-For` in the order they came.
/// Entries may carry a port. Empty entries are skipped and not counted, as in every HTTP list. An entry that is no address
/// ends the walk: the last good one is the client. IPv6 addresses that wrap IPv4 ones are unwrapped.
pub fn client<'a>(
    peer: Option<IpAddr>,
    forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &TrustedProxies,
) -> Client {
    let peer = peer.map(|ip| ip.to_canonical());
    let peer_trusted = peer.is_none_or(|ip| trusted.trusts(ip));
    let mut client = Client {
        ip: peer,
        hops: 0,
        peer_trusted,
    };
    if !peer_trusted {
        return client;
    }
    let entries = forwarded_for
        .rev()
        .flat_map(|line| line.rsplit(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty());
    for entry in entries {
        let Some(ip) = address(entry) else { break };
        client.ip = Some(ip);
        client.hops += 1;
        if !trusted.trusts(ip) {
            break;
        }
    }
    client
}

/// `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let ip = if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        if !after.is_empty() {
            port(after.strip_prefix(':')?)?;
        }
        IpAddr::V6(inside.parse::<Ipv6Addr>().ok()?)
    } else if let Ok(ip) = text.parse::<IpAddr>() {
        ip
    } else {
        let (host, after) = text.split_once(':')?;
        port(after)?;
        IpAddr::V4(host.parse::<Ipv4Addr>().ok()?)
    };
    Some(ip.to_canonical())
}

fn port(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn network(entry: &str) -> Option<IpNet> {
    if let Ok(ip) = entry.parse::<IpAddr>() {
        return Some(IpNet::from(ip.to_canonical()));
    }
    // The host bits are cut, so that what `config show` prints is what is compared.
    entry.parse::<IpNet>().ok().map(|network| network.trunc())
}

fn net_v4(octets: [u8; 4], prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::from(octets), prefix)
}

fn loopback_v6() -> IpNet {
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128)
}

fn unique_local_v6() -> IpNet {
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn find(peer: &str, lines: &[&str], trusted: &[&str]) -> (Option<IpAddr>, usize, bool) {
        let trusted = TrustedProxies::try_new(trusted).unwrap();
        let peer = (peer != "unix").then(|| ip(peer));
        let found = client(peer, lines.iter().map(|line| line.as_bytes()), &trusted);
        (found.ip, found.hops, found.peer_trusted)
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_claims() {
        assert_eq!(
            find("203.0.113.9", &["10.0.0.1, 127.0.0.1"], &["private"]),
            (Some(ip("203.0.113.9")), 0, false)
        );
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(
            find("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.7"], &trusted),
            (Some(ip("203.0.113.9")), 2, true)
        );
        // Lines are one list; the last line is the nearest.
        assert_eq!(
            find(
                "10.0.0.1",
                &["6.6.6.6", "203.0.113.9", "10.0.0.7 ,, 10.0.0.8,"],
                &trusted
            ),
            (Some(ip("203.0.113.9")), 3, true)
        );
        assert_eq!(
            find("10.0.0.1", &["10.0.0.3, 10.0.0.2"], &trusted),
            (Some(ip("10.0.0.3")), 2, true)
        );
        assert_eq!(
            find("10.0.0.1", &[], &trusted),
            (Some(ip("10.0.0.1")), 0, true)
        );
    }

    #[test]
    fn garbage_ends_the_walk_at_the_last_good_address() {
        let trusted = ["10.0.0.0/8"];
        for garbage in [
            "unknown",
            "_hidden",
            "1.2.3",
            "1.2.3.4:x",
            "1.2.3.4:+5",
            "[::1",
            "[::1]5",
            "::1:http",
            "\u{e9}",
        ] {
            let line = format!("6.6.6.6, {garbage}, 10.0.0.2");
            assert_eq!(
                find("10.0.0.1", &[&line], &trusted),
                (Some(ip("10.0.0.2")), 1, true),
                "{garbage}"
            );
        }
    }

    #[test]
    fn ports_brackets_and_wrapped_addresses_are_understood() {
        let trusted = ["loopback"];
        for (entry, expected) in [
            ("1.2.3.4:555", "1.2.3.4"),
            ("[2001:db8::1]:5", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
        ] {
            assert_eq!(
                find("::ffff:127.0.0.1", &[entry], &trusted),
                (Some(ip(expected)), 1, true),
                "{entry}"
            );
        }
    }

    #[test]
    fn a_unix_peer_is_trusted_and_nameless() {
        assert_eq!(find("unix", &[], &[]), (None, 0, true));
        assert_eq!(
            find("unix", &["6.6.6.6, 1.2.3.4"], &[]),
            (Some(ip("1.2.3.4")), 1, true)
        );
    }

    #[test]
    fn the_list_reads_words_ranges_and_addresses() {
        let proxies =
            TrustedProxies::try_new(["private", "loopback", "203.0.113.7", "198.51.100.9/24"])
                .unwrap();
        for inside in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.9.9",
            "fd00::1",
            "127.9.9.9",
            "::1",
            "203.0.113.7",
            "198.51.100.200",
            "::ffff:10.0.0.1",
        ] {
            assert!(proxies.trusts(ip(inside)), "{inside}");
        }
        for outside in ["172.32.0.1", "203.0.113.8", "2001:db8::1", "8.8.8.8"] {
            assert!(!proxies.trusts(ip(outside)), "{outside}");
        }
        let error = TrustedProxies::try_new(["10.0.0.0/33"]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`10.0.0.0/33` is not a network")
        );
        let texts = Vec::<String>::from(proxies.clone());
        assert!(texts.contains(&"198.51.100.0/24".to_owned()));
        assert_eq!(TrustedProxies::try_from(texts), Ok(proxies));
    }

    fn low(bits: u128) -> u32 {
        u32::try_from(bits & u128::from(u32::MAX)).unwrap()
    }

    proptest! {
        #[test]
        fn trusts_what_the_networks_contain(bits: u128, other: u128, prefix in 0u8..=128, flip in 0u32..128) {
            for (ip, near) in [
                (IpAddr::V6(bits.into()), IpAddr::V6((bits ^ (1 << flip)).into())),
                (IpAddr::from(low(bits).to_be_bytes()), IpAddr::from((low(bits) ^ (1 << (flip % 32))).to_be_bytes())),
            ] {
                let prefix = if ip.is_ipv4() { prefix % 33 } else { prefix };
                let network = IpNet::new(ip, prefix).unwrap();
                let proxies = TrustedProxies::try_new([network.to_string()]).unwrap();
                for asked in [ip, near, IpAddr::V6(other.into())] {
                    let asked = asked.to_canonical();
                    prop_assert_eq!(proxies.trusts(asked), network.contains(&asked));
                }
            }
        }

        #[test]
        fn whatever_an_untrusted_client_writes_does_not_move_it(
            forged in proptest::collection::vec("[ -~]{0,40}", 0..4),
        ) {
            // The proxy at 10.0.0.1 appended what it saw; all to the left of that is the client's own writing.
            let mut lines: Vec<&str> = forged.iter().map(String::as_str).collect();
            lines.push("203.0.113.9");
            let (found, hops, _) = find("10.0.0.1", &lines, &["private"]);
            prop_assert_eq!((found, hops), (Some(ip("203.0.113.9")), 1));
        }

        #[test]
        fn hops_never_exceed_the_entries(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..4)) {
            let trusted = TrustedProxies::try_new(["0.0.0.0/0", "::/0"]).unwrap();
            let entries: usize = lines.iter().map(|line| line.split(|&b| b == b',').count()).sum();
            let found = client(None, lines.iter().map(Vec::as_slice), &trusted);
            prop_assert!(found.hops <= entries);
            prop_assert_eq!(found.ip.is_some(), found.hops > 0);
        }
    }
}
