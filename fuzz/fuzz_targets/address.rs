//! Forwarding lists and networks as strangers and files write them: whoever is not vouched for chooses no address.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use seaworthy_core::ban::{Target, key};
use seaworthy_core::identity::{TrustedProxies, client};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

fuzz_target!(|data: &[u8]| {
    let trusted = TrustedProxies::try_new(["private", "loopback"]).expect("words that are known");
    let lines = || data.split(|&byte| byte == b'\n');
    let found = client(Some(STRANGER), lines(), &trusted);
    assert_eq!((found.ip, found.hops, found.peer_trusted), (Some(STRANGER), 0, false));

    let found = client(Some(PROXY), lines(), &trusted);
    let address = found.ip.expect("the peer at least");
    assert_eq!(address, address.to_canonical());
    // Whoever is believed to be further away was vouched for by everyone in between.
    let mut last = Vec::from(b"203.0.113.9");
    last.extend_from_slice(b", 10.1.2.3");
    let behind = client(Some(PROXY), lines().chain([&*last]), &trusted);
    assert_eq!((behind.ip, behind.hops), (Some(STRANGER), 2));
    // A bucket and a ban of what stands for an address are its own.
    assert_eq!(key(key(address)), key(address));

    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(target) = text.parse::<Target>() {
            let again: Target = target.to_string().parse().expect("what is shown can be read");
            assert_eq!(again.to_string(), target.to_string());
        }
        drop(TrustedProxies::try_new(text.split(',')));
    }
});
