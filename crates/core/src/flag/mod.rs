//! Feature flags: on, off, or on for a share of those who ask, always the same ones.
//!
//! **Cohorts.** Who asks has a key: the id of the principal, else the client's address (an IPv6 one without its lower 64 bits), else
//! the id of the request, as text. Its place between 0 and 1,000,000 is [`place`]: FNV-1a (64 bits) over the name of the flag, a
//! zero byte and the key, mixed by the finalizer of MurmurHash3, times a million, shifted right by 64. A flag of 25 % is on below
//! 250,000. So the same one sees the same on every replica and after every restart, a larger share only adds to those who see it,
//! and two flags divide the world in different ways.
//!
//! A flag that nobody knows, or a share of those who have no key, is off.

mod switch;

use std::net::{IpAddr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use switch::Switch;

/// The units that a share is counted in.
const ALL: u32 = 1_000_000;

/// What decides who belongs to a share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The principal, or the client where nobody vouched for one.
    #[default]
    Principal,
    /// The client's address.
    Client,
    /// The single request.
    Request,
}

/// One flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Its name.
    pub name: Box<str>,
    /// For whom it is on.
    pub switch: Switch,
    /// What decides who belongs to a share.
    pub by: By,
}

/// Who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who<'a> {
    /// The id of the principal.
    pub principal: Option<&'a str>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The id of the request.
    pub request: Option<&'a [u8]>,
}

/// All flags, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags(Box<[Flag]>);

impl Flags {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Flag> {
        self.0.iter()
    }

    /// Whether a flag is on for somebody. One that is not known is off.
    #[must_use]
    pub fn is_on(&self, name: &str, who: &Who<'_>) -> bool {
        let found = self.0.binary_search_by(|flag| (*flag.name).cmp(name));
        found.is_ok_and(|at| self.0[at].is_on(who))
    }

    /// The names of those that are on for somebody.
    pub fn on<'a>(&'a self, who: &'a Who<'_>) -> impl Iterator<Item = &'a str> {
        let on = self.0.iter().filter(|flag| flag.is_on(who));
        on.map(|flag| &*flag.name)
    }
}

impl FromIterator<Flag> for Flags {
    /// Of two flags with one name, the last counts.
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let named = flags.into_iter().map(|flag| (flag.name.clone(), flag));
        let sorted: std::collections::BTreeMap<_, _> = named.collect();
        Self(sorted.into_values().collect())
    }
}

impl Flag {
    /// Whether it is on for somebody.
    #[must_use]
    pub fn is_on(&self, who: &Who<'_>) -> bool {
        let among = |key: &[u8]| self.switch.takes(place(&self.name, key));
        match self.switch {
            Switch::Off => false,
            Switch::On => true,
            Switch::Share(_) => match (self.by, who) {
                (
                    By::Principal,
                    Who {
                        principal: Some(id),
                        ..
                    },
                ) => among(id.as_bytes()),
                (By::Principal | By::Client, Who { client, .. }) => match client {
                    Some(client) => among(network(*client).as_bytes()),
                    None => who.request.is_some_and(among),
                },
                (By::Request, Who { request, .. }) => request.is_some_and(among),
            },
        }
    }
}

/// The address that all of one client's have in common.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).to_string()
        }
    }
}

/// Where somebody stands for a flag, below a million. See the [module documentation](self).
#[must_use]
pub fn place(flag: &str, key: &[u8]) -> u32 {
    let bytes = flag.as_bytes().iter().chain(&[0]).chain(key);
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^= hash >> 33;
    let place = (u128::from(hash) * u128::from(ALL)) >> 64;
    u32::try_from(place).unwrap_or(ALL)
}

#[cfg(test)]
mod tests {
    use super::super::quantity::Share;
    use super::*;
    use proptest::prelude::*;

    fn flag(name: &str, switch: Switch, by: By) -> Flag {
        Flag {
            name: name.into(),
            switch,
            by,
        }
    }

    fn share(percent: u32) -> Switch {
        Switch::Share(Share::percent(percent))
    }

    #[test]
    fn the_hash_is_the_one_that_is_documented() {
        // Reckoned with the same words in another language; whoever changes one of these moves everybody.
        for (flag, key, place) in PLACES {
            assert_eq!(super::place(flag, key.as_bytes()), place, "{flag} {key}");
        }
    }

    #[test]
    fn what_is_unknown_or_has_no_key_is_off() {
        let flags: Flags = [
            flag("a", share(99), By::Request),
            flag("b", Switch::On, By::Request),
        ]
        .into_iter()
        .collect();
        let nobody = Who::default();
        assert!(!flags.is_on("a", &nobody) && !flags.is_on("c", &nobody));
        assert!(flags.is_on("b", &nobody));
        assert_eq!(flags.on(&nobody).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn the_principal_counts_before_the_address_and_the_address_before_the_request() {
        let one = flag("f", share(50), By::Principal);
        for at in 0..64_u8 {
            let id = format!("user-{at}");
            let client = IpAddr::from([203, 0, 113, at]);
            let who = Who {
                principal: Some(&id),
                client: Some(client),
                request: Some(b"r"),
            };
            assert_eq!(one.is_on(&who), place("f", id.as_bytes()) < 500_000);
            let who = Who {
                principal: None,
                ..who
            };
            let expected = place("f", client.to_string().as_bytes()) < 500_000;
            assert_eq!(one.is_on(&who), expected);
        }
    }

    #[test]
    fn one_client_with_many_addresses_is_one() {
        let one = flag("f", share(50), By::Client);
        let on = |address: &str| {
            one.is_on(&Who {
                client: address.parse().ok(),
                ..Who::default()
            })
        };
        let seen: Vec<bool> = (0..32)
            .map(|at| on(&format!("2001:db8:1:2::{at:x}")))
            .collect();
        assert!(seen.iter().all(|on| *on == seen[0]));
        assert_eq!(on("::ffff:203.0.113.7"), on("203.0.113.7"));
    }

    proptest! {
        #[test]
        fn a_larger_share_only_adds(name in "[a-z]{1,12}", id in "\\PC{1,20}", less in 0_u32..=100, more in 0_u32..=100) {
            let who = Who { principal: Some(&id), ..Who::default() };
            let on = |percent| flag(&name, share(percent), By::Principal).is_on(&who);
            prop_assert!(less > more || !on(less) || on(more));
            prop_assert!(!on(0) && on(100));
        }

        #[test]
        fn the_same_one_sees_the_same(name in "[a-z]{1,12}", id in "\\PC{1,20}", percent in 0_u32..=100, request in any::<[u8; 8]>()) {
            let one = flag(&name, share(percent), By::Principal);
            let first = one.is_on(&Who { principal: Some(&id), ..Who::default() });
            let later = one.is_on(&Who { principal: Some(&id), request: Some(&request), client: Some([127, 0, 0, 1].into()) });
            prop_assert_eq!(first, later);
        }

        #[test]
        fn a_share_is_about_that_share_of_everybody(name in "[a-z]{1,12}", percent in 0_u32..=100) {
            let one = flag(&name, share(percent), By::Principal);
            let on = (0..4_000).filter(|id| one.is_on(&Who { principal: Some(&id.to_string()), ..Who::default() })).count();
            let wanted = f64::from(percent) * 40.0;
            // Six standard deviations: one run in a billion is wrong.
            let spread = 6.0 * (4_000.0 * f64::from(percent) / 100.0 * (1.0 - f64::from(percent) / 100.0)).sqrt();
            prop_assert!((f64::from(u32::try_from(on).unwrap()) - wanted).abs() <= spread + 1.0, "{} of 4000 at {} %", on, percent);
        }

        #[test]
        fn two_flags_divide_the_world_differently(one in "[a-m]{1,8}", other in "[n-z]{1,8}") {
            let same = (0..1_000).filter(|id: &u32| {
                let id = id.to_string();
                (place(&one, id.as_bytes()) < 500_000) == (place(&other, id.as_bytes()) < 500_000)
            });
            prop_assert!((400..600).contains(&same.count()));
        }
    }

    /// Flag, key and place.
    const PLACES: [(&str, &str, u32); 4] = [
        ("checkout", "alice", 537_062),
        ("checkout", "203.0.113.7", 945_710),
        ("search", "alice", 965_501),
        ("", "", 722_706),
    ];
}
