//! Somebody who issues JSON Web Tokens, honest ones and others.
//!
//! Signed with the cryptography itself and not with a library for tokens, so that what is judged and what judges share no
//! fault, and so that a token can be as wrong as an attacker would make it.

use anyhow::Context as _;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// See the [module documentation](self).
pub struct Issuer {
    name: String,
    key: Key,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({})", self.name)
    }
}

impl Issuer {
    /// One with an RSA key of 2048 bits, for RS256.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rsa(name: &str) -> crate::Result<Self> {
        Self::rsa_of(name, KeySize::Rsa2048)
    }

    /// One with an RSA key of 4096 bits.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rsa_large(name: &str) -> crate::Result<Self> {
        Self::rsa_of(name, KeySize::Rsa4096)
    }

    fn rsa_of(name: &str, size: KeySize) -> crate::Result<Self> {
        let pair = rsa::KeyPair::generate(size).context("making an RSA key")?;
        Ok(Self {
            name: name.to_owned(),
            key: Key::Rsa(pair),
        })
    }

    /// One with a key on P-256, for ES256.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn ec(name: &str) -> crate::Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Ok(Self {
            name: name.to_owned(),
            key: Key::Ec(pair.context("making a key on P-256")?),
        })
    }

    /// The algorithm of its signatures.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Rsa(_) => "RS256",
            Key::Ec(_) => "ES256",
        }
    }

    /// Its public key as PEM.
    ///
    /// # Panics
    /// When the key cannot be written, which would be a fault of the library.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match &self.key {
            Key::Rsa(pair) => pair.public_key().as_der(),
            Key::Ec(pair) => pair.public_key().as_der(),
        }
        .expect("a public key can be written");
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .map(|at| &text[at..(at + 64).min(text.len())])
            .collect();
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines.join("\n")
        )
    }

    /// Its public key as a member of a key set.
    #[must_use]
    pub fn jwk(&self) -> Value {
        match &self.key {
            Key::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({
                    "kty": "RSA", "use": "sig", "kid": self.name,
                    "n": encode(n.big_endian_without_leading_zero()),
                    "e": encode(e.big_endian_without_leading_zero()),
                })
            }
            Key::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.name,
                    "x": encode(&point[1..33]), "y": encode(&point[33..]),
                })
            }
        }
    }

    /// A token with these claims, as it should be.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.name});
        self.with_header(&header, claims)
    }

    /// A token that says of itself whatever `header` says, rightly signed.
    #[must_use]
    pub fn with_header(&self, header: &Value, claims: &Value) -> String {
        self.sign(&format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        ))
    }

    /// Signs two parts that are encoded already.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn sign(&self, parts: &str) -> String {
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, parts.as_bytes(), &mut signature)
                    .expect("there is randomness");
                signature
            }
            Key::Ec(pair) => {
                let signature = pair.sign(&random, parts.as_bytes());
                signature.expect("there is randomness").as_ref().to_vec()
            }
        };
        format!("{parts}.{}", encode(&signature))
    }
}

/// A token signed with HMAC-SHA-256 and `secret`, whatever its header says.
#[must_use]
pub fn with_secret(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let parts = unsigned(header, claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signature = hmac::sign(&key, parts.as_bytes());
    format!("{parts}.{}", encode(signature.as_ref()))
}

/// Header and payload without a signature.
#[must_use]
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    )
}

/// Base64url without padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970, and so many more.
#[must_use]
pub fn in_seconds(more: i64) -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let since = since.map_or(0, |since| since.as_secs());
    i64::try_from(since).unwrap_or(0) + more
}
