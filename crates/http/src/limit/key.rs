//! Who somebody is, as a key of buckets.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use seaworthy_core::ban;
use seaworthy_core::principal::{Kind, Principal};

use crate::exchange::Exchange;

/// What may name a client, in the order of preference; the address is what is left when nothing else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identify(pub Box<[Kind]>);

impl Default for Identify {
    /// Every principal, whatever vouches for it.
    fn default() -> Self {
        Self([Kind::ApiKey, Kind::Token, Kind::Header].into())
    }
}

impl Identify {
    /// The principal of a request, if it is of a kind that counts.
    pub fn principal<'a>(&self, exchange: &'a Exchange) -> Option<&'a Principal> {
        let principal = exchange.principal.as_deref()?;
        self.0.contains(&principal.kind).then_some(principal)
    }
}

/// One part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The principal, or the client's address when there is none.
    Identity,
    /// The principal.
    Principal,
    /// The client's address; those of one IPv6 /64 are one.
    Address,
    /// A field of the request, which counts only when the peer is a trusted proxy.
    Header(HeaderName),
}

/// What the buckets of a policy are kept by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    /// The parts, all of which make the key. None at all is one bucket for everybody.
    pub parts: Box<[Part]>,
    /// Whether the policy does not hold for a request that lacks a part. Otherwise its address stands for what is missing.
    pub skips: bool,
}

impl Keyed {
    /// By whoever it is: principal or address.
    pub fn identity() -> Self {
        Self {
            parts: [Part::Identity].into(),
            skips: false,
        }
    }
}

/// The key of one bucket: a number for tables of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub u64);

/// Makes keys. The hash is seeded for each process, so that strangers cannot aim for the bucket of another.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// What may name a client.
    pub identify: Identify,
    seed: RandomState,
}

impl Keys {
    /// Keys of clients that are named so.
    pub fn new(identify: Identify) -> Self {
        Self {
            identify,
            seed: RandomState::new(),
        }
    }

    /// The same with others that may name a client: whoever is named as before has the key that he had.
    #[must_use]
    pub fn identifying(&self, identify: Identify) -> Self {
        Self {
            identify,
            seed: self.seed.clone(),
        }
    }

    /// The key of a request, or `None` when the policy does not hold for it.
    pub fn key(&self, keyed: &Keyed, exchange: &Exchange, headers: &HeaderMap) -> Option<Key> {
        let mut hasher = self.seed.build_hasher();
        each(
            &self.identify,
            keyed,
            exchange,
            headers,
            |name| match name {
                Name::Principal(principal) => {
                    hasher.write_u8(1);
                    hasher.write(principal.kind.word().as_bytes());
                    hasher.write(principal.id.as_bytes());
                    hasher.write_u8(0xff);
                }
                Name::Address(IpAddr::V4(address)) => {
                    hasher.write_u64(2 << 32 | u64::from(address.to_bits()));
                }
                Name::Address(IpAddr::V6(address)) => {
                    hasher.write_u128(address.to_bits() | 3);
                }
                Name::Field(field, value) => {
                    hasher.write_u8(4);
                    hasher.write(field.as_str().as_bytes());
                    hasher.write(value);
                    hasher.write_u8(0xff);
                }
                Name::Nobody => hasher.write_u8(5),
            },
        )?;
        Some(Key(hasher.finish()))
    }

    /// What the key stands for, in words that all replicas share: `127.0.0.1`, `jwt:alice`, `x-user-id:7`. It is personal, and
    /// long when a client likes, so it is hashed before it goes anywhere.
    pub fn text(&self, keyed: &Keyed, exchange: &Exchange, headers: &HeaderMap) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        each(&self.identify, keyed, exchange, headers, |name| {
            if !text.is_empty() {
                text.push(b'|');
            }
            match name {
                Name::Principal(principal) => {
                    text.extend(principal.kind.word().as_bytes());
                    text.push(b':');
                    text.extend(principal.id.as_bytes());
                }
                Name::Address(address) => text.extend(network(address).as_bytes()),
                Name::Field(field, value) => {
                    text.extend(field.as_str().as_bytes());
                    text.push(b':');
                    text.extend(value);
                }
                Name::Nobody => text.extend(b"-"),
            }
        })?;
        Some(text)
    }

    /// The key that an operator means by the text of an address.
    pub fn of_address(&self, address: IpAddr) -> Key {
        self.of(|exchange| exchange.client = Some(address))
    }

    /// The key that an operator means by a principal.
    pub fn of_principal(&self, principal: Principal) -> Key {
        self.of(|exchange| exchange.principal = Some(principal.into()))
    }

    fn of(&self, fill: impl FnOnce(&mut Exchange)) -> Key {
        let mut exchange = Exchange::new(std::time::Instant::now(), None, false);
        fill(&mut exchange);
        let keyed = Keyed::identity();
        self.key(&keyed, &exchange, &HeaderMap::new())
            .unwrap_or(Key(0))
    }
}

/// An address as it is named: itself, or its /64.
pub(crate) fn network(address: IpAddr) -> String {
    let mut text = address.to_string();
    if address.is_ipv6() {
        _ = write!(text, "/64");
    }
    text
}

enum Name<'a> {
    Principal(&'a Principal),
    Address(IpAddr),
    Field(&'a HeaderName, &'a [u8]),
    Nobody,
}

/// Goes through the parts of a key. Returns `None` when one is missing and the policy does not hold then.
fn each<'a>(
    identify: &Identify,
    keyed: &'a Keyed,
    exchange: &'a Exchange,
    headers: &'a HeaderMap,
    mut each: impl FnMut(Name<'a>),
) -> Option<()> {
    if keyed.parts.is_empty() {
        each(Name::Nobody);
    }
    for part in &keyed.parts {
        let name = match part {
            Part::Identity => Some(
                identify
                    .principal(exchange)
                    .map_or_else(|| address(exchange), Name::Principal),
            ),
            Part::Principal => identify.principal(exchange).map(Name::Principal),
            Part::Address => Some(address(exchange)),
            Part::Header(field) => headers
                .get(field)
                .filter(|value| exchange.peer_trusted && !value.is_empty())
                .map(|value| Name::Field(field, value.as_bytes())),
        };
        match name {
            Some(name) => each(name),
            None if keyed.skips => return None,
            None => each(address(exchange)),
        }
    }
    Some(())
}

fn address(exchange: &Exchange) -> Name<'_> {
    let peer = exchange.peer.map(|peer| peer.ip());
    match exchange.client.or(peer) {
        Some(address) => Name::Address(ban::key(address)),
        None => Name::Nobody,
    }
}
