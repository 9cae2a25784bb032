//! Keys that tokens are verified with, each for certain algorithms only.
//!
//! The key says which algorithms it is for, never the token: that a token chooses is how a public key was once taken for a
//! secret. A set that mixes secrets with public keys, or has two keys of one name, is refused as a whole.

use std::fmt;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use serde_json::Value;

pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{AlgorithmFamily as Family, DecodingKeyKind};

use super::roca;

/// More keys in one set are no set of keys.
const MOST: usize = 64;
/// A name that is longer is none.
const LONGEST_NAME: usize = 256;

/// A key that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadKey(pub &'static str);

/// One key.
#[derive(Clone)]
pub struct Key {
    name: Option<Box<str>>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Reads a public key or a certificate as PEM; `allowed` says what it is to verify.
    ///
    /// # Errors
    /// Why it cannot verify any of them.
    pub fn from_pem(pem: &[u8], allowed: &[Algorithm]) -> Result<Self, BadKey> {
        let text = String::from_utf8_lossy(pem);
        if text.contains("PRIVATE KEY") {
            return Err(BadKey(
                "this is a private key, which only the issuer may have; name its public key",
            ));
        }
        let read = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem));
        let key = read.map_err(|_| BadKey("this is no public key in PEM"))?;
        let own = match key.family() {
            Family::Ec => of_curve(key.try_get_as_bytes().map_or(0, <[u8]>::len)),
            family => family.algorithms().to_vec(),
        };
        Self::new(None, own, allowed, key)
    }

    /// Takes a shared secret.
    ///
    /// # Errors
    /// Why it cannot verify any of `allowed`.
    pub fn from_secret(secret: &[u8], allowed: &[Algorithm]) -> Result<Self, BadKey> {
        if String::from_utf8_lossy(secret).contains("-----BEGIN") {
            return Err(BadKey(
                "this is a PEM file, whose text everybody may know; a secret is random",
            ));
        }
        let own = of_secret(secret.len());
        if own.is_empty() {
            return Err(BadKey(
                "a secret has at least 32 bytes; `openssl rand -base64 48` makes one",
            ));
        }
        Self::new(None, own, allowed, DecodingKey::from_secret(secret))
    }

    fn new(
        name: Option<Box<str>>,
        mut own: Vec<Algorithm>,
        allowed: &[Algorithm],
        key: DecodingKey,
    ) -> Result<Self, BadKey> {
        own.retain(|algorithm| allowed.contains(algorithm));
        if own.is_empty() {
            return Err(BadKey("the type of the key fits none of the algorithms"));
        }
        Ok(Self {
            name,
            algorithms: own,
            key,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        use DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let same_bytes = match (self.key.kind(), other.key.kind()) {
            (SecretOrDer(a), SecretOrDer(b)) => a == b,
            (RsaModulusExponent { n, e }, RsaModulusExponent { n: m, e: f }) => n == m && e == f,
            _ => false,
        };
        same_bytes && self.name == other.name && self.algorithms == other.algorithms
    }

    /// Whether it is for signatures of this kind.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether the signature over `signed` is this key's.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &str) -> bool {
        let verified = jsonwebtoken::crypto::verify(signature, signed, &self.key, algorithm);
        self.is_for(algorithm) && verified.unwrap_or(false)
    }
}

/// Keys that belong together.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// A set of one key, which tokens need not name.
    pub fn of(key: Key) -> Self {
        Self(vec![key])
    }

    /// Reads a JWKS. Keys for other purposes or algorithms are left out.
    ///
    /// # Errors
    /// Why the whole set cannot be used.
    pub fn from_jwks(document: &[u8], allowed: &[Algorithm]) -> Result<Self, BadKey> {
        let none = BadKey("this is no JSON Web Key Set");
        let document: Value = serde_json::from_slice(document).map_err(|_| none.clone())?;
        let listed = document.get("keys").and_then(Value::as_array).ok_or(none)?;
        if listed.len() > MOST {
            return Err(BadKey("the set has more than 64 keys"));
        }
        let is_secret = |key: &&Value| key.get("kty").and_then(Value::as_str) == Some("oct");
        let secrets = listed.iter().filter(is_secret).count();
        if secrets > 0 && secrets < listed.len() {
            return Err(BadKey("the set mixes secrets with public keys"));
        }
        let mut names: Vec<&str> = listed.iter().filter_map(name_of).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(BadKey("two keys of the set have the same name"));
        }
        let keys = listed.iter().filter_map(|key| from_jwk(key, allowed));
        Ok(Self(keys.collect()))
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names of the keys, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .0
            .iter()
            .filter_map(|key| key.name.as_deref())
            .collect();
        names.sort_unstable();
        names
    }

    /// Whether the other set has the same keys, in the same order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a.is_same(b))
    }

    /// The key for a token: the one it names, or the only one that suits it. A key without a name suits any.
    pub(super) fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let named = name.and_then(|name| {
            let mut keys = self.0.iter();
            keys.find(|key| key.name.as_deref() == Some(name))
        });
        if named.is_some() {
            return named;
        }
        let mut suiting = self
            .0
            .iter()
            .filter(|key| key.is_for(algorithm) && (name.is_none() || key.name.is_none()));
        let first = suiting.next();
        first.filter(|_| suiting.next().is_none())
    }
}

fn name_of(key: &Value) -> Option<&str> {
    key.get("kid").and_then(Value::as_str)
}

fn from_jwk(document: &Value, allowed: &[Algorithm]) -> Option<Key> {
    let says = |member: &str, other: &str| {
        let said = document.get(member).and_then(Value::as_str);
        said.is_some_and(|said| said != other)
    };
    if says("use", "sig") || !may_verify(document.get("key_ops")) {
        return None;
    }
    // What the key says of its algorithm is read here: a word that nobody knows narrows it to nothing.
    let mut plain = document.clone();
    let own_word = plain.as_object_mut()?.shift_remove("alg");
    plain.as_object_mut()?.shift_remove("key_ops");
    let jwk: Jwk = serde_json::from_value(plain).ok()?;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    if let DecodingKeyKind::RsaModulusExponent { n, .. } = key.kind()
        && roca::is_marked(n)
    {
        return None;
    }
    let mut own = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Family::Rsa.algorithms().to_vec(),
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            vec![Algorithm::EdDSA]
        }
        AlgorithmParameters::OctetKey(_) => of_secret(key.try_get_as_bytes().ok()?.len()),
        _ => Vec::new(),
    };
    if let Some(word) = own_word {
        let word: Algorithm = word.as_str()?.parse().ok()?;
        own.retain(|algorithm| *algorithm == word);
    }
    let name = name_of(document);
    if name.is_some_and(|name| name.len() > LONGEST_NAME) {
        return None;
    }
    let name = name.map(Box::from);
    Key::new(name, own, allowed, key).ok()
}

/// Whether the operations of a key, where it lists some that are known, have this one among them.
fn may_verify(operations: Option<&Value>) -> bool {
    const KNOWN: [&str; 8] = [
        "sign",
        "verify",
        "encrypt",
        "decrypt",
        "wrapKey",
        "unwrapKey",
        "deriveKey",
        "deriveBits",
    ];
    let Some(operations) = operations.and_then(Value::as_array) else {
        return true;
    };
    let mut known = operations
        .iter()
        .filter_map(Value::as_str)
        .filter(|word| KNOWN.contains(word));
    let first = known.next();
    first.is_none_or(|first| first == "verify" || known.any(|word| word == "verify"))
}

/// What a secret of this length is good for: as many bytes as the hash has, at least (RFC 7518, 3.2).
fn of_secret(length: usize) -> Vec<Algorithm> {
    let needs = [
        (Algorithm::HS256, 32),
        (Algorithm::HS384, 48),
        (Algorithm::HS512, 64),
    ];
    let fits = needs.into_iter().filter(|(_, least)| length >= *least);
    fits.map(|(algorithm, _)| algorithm).collect()
}

/// What an uncompressed point of this length is good for.
fn of_curve(length: usize) -> Vec<Algorithm> {
    match length {
        65 => vec![Algorithm::ES256],
        97 => vec![Algorithm::ES384],
        _ => Vec::new(),
    }
}

/// The algorithm of a name that may be allowed. `none` is no algorithm.
///
/// # Errors
/// What may be written.
pub fn algorithm(name: &str) -> Result<Algorithm, BadKey> {
    name.parse().map_err(|_| {
        BadKey("there is no such algorithm; write RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384 or HS512")
    })
}

/// Whether it rests on a shared secret.
pub fn is_symmetric(algorithm: Algorithm) -> bool {
    algorithm.family() == Family::Hmac
}
