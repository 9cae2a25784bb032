//! JSON Web Tokens: who may have signed one, and what it has to claim.
//!
//! Algorithms come from an allow-list, and a key has its own list besides; `none` is on neither. A token that was verified
//! is remembered under its hash until it ends, within a bound. One verification takes well under a millisecond even for RSA
//! with 4096 bits, which is why it is done where the request is; `tests::what_a_verification_costs` measures it.
//!
//! It does not decrypt (JWE), read tokens of several signatures, or follow addresses that a token names.

mod cache;
mod claims;
mod jwks;
mod key;
mod roca;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use seaworthy_core::principal::Principal;

pub use claims::Rules;
pub use jwks::{Jwks, MOST as LARGEST_KEY_SET, Pace, Place};
pub use key::{Algorithm, BadKey, Key, KeySet, algorithm, is_symmetric};

use self::cache::Cache;
use self::token::Token;
use super::Refusal;
use super::keys::sha256;

/// Longer tokens are refused unread.
pub const LONGEST: usize = 16 * 1024;
/// So many verified tokens are remembered, unless told otherwise.
pub const REMEMBERED: usize = 10_000;

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// They never change.
    Fixed(KeySet),
    /// Somebody fetches them.
    Fetched(Arc<Jwks>),
}

/// Verifies tokens.
#[derive(Debug)]
pub struct Verifier {
    algorithms: Vec<Algorithm>,
    source: Source,
    rules: Rules,
    cache: Cache,
}

impl Verifier {
    /// A verifier that remembers `remembered` tokens.
    ///
    /// # Errors
    /// When no algorithm is allowed.
    pub fn new(
        algorithms: Vec<Algorithm>,
        source: Source,
        rules: Rules,
        remembered: usize,
    ) -> Result<Self, BadKey> {
        if algorithms.is_empty() {
            return Err(BadKey("no algorithm is allowed; name at least one"));
        }
        Ok(Self {
            algorithms,
            source,
            rules,
            cache: Cache::new(remembered),
        })
    }

    /// Who `text` speaks for at `now`, in seconds since 1970. [`Refusal::UnknownKey`] and [`Refusal::Unavailable`] may
    /// change after [`Verifier::look_again`].
    ///
    /// # Errors
    /// Why it counts for nothing.
    pub fn verify(&self, text: &str, now: u64) -> Result<Arc<Principal>, Refusal> {
        if text.len() > LONGEST {
            return Err(Refusal::Malformed);
        }
        match &self.source {
            Source::Fixed(keys) => self.verify_with(keys, 0, text, now),
            Source::Fetched(jwks) => {
                let current = jwks.current().ok_or(Refusal::Unavailable)?;
                self.verify_with(&current.keys, current.generation, text, now)
            }
        }
    }

    /// Waits for newer keys, if there can be any.
    pub async fn look_again(&self) {
        if let Source::Fetched(jwks) = &self.source {
            jwks.look_again().await;
        }
    }

    /// Whether keys are fetched, so that a refusal for want of a key may not be the last word.
    pub fn is_fetched(&self) -> bool {
        matches!(self.source, Source::Fetched(_))
    }

    fn verify_with(
        &self,
        keys: &KeySet,
        generation: u64,
        text: &str,
        now: u64,
    ) -> Result<Arc<Principal>, Refusal> {
        let hash = sha256(text.as_bytes());
        if let Some(principal) = self.cache.find(&hash, generation, now) {
            return Ok(principal);
        }
        let token = self.signed(keys, text)?;
        let (principal, until) = self.rules.judge(&token.payload, now)?;
        let principal = Arc::new(principal);
        self.cache.keep(hash, &principal, until, generation, now);
        Ok(principal)
    }

    /// The token, if one of the keys signed it.
    fn signed<'a>(&self, keys: &KeySet, text: &'a str) -> Result<Token<'a>, Refusal> {
        let token = Token::parse(text)?;
        let algorithm: Algorithm = token.header.alg.parse().map_err(|_| Refusal::Algorithm)?;
        if !self.algorithms.contains(&algorithm) {
            return Err(Refusal::Algorithm);
        }
        let key = keys.find(token.header.kid.as_deref(), algorithm);
        let key = key.ok_or(Refusal::UnknownKey)?;
        if !key.is_for(algorithm) {
            return Err(Refusal::Algorithm);
        }
        if !key.verifies(algorithm, token.signed, token.signature) {
            return Err(Refusal::Signature);
        }
        Ok(token)
    }
}
