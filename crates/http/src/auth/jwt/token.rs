//! A token in compact form, taken apart without believing it.
//!
//! Only what is needed is read: the algorithm, the name of the key, and whether something is said to be critical, which
//! nothing here understands. Keys that a token brings or points at (`jwk`, `jku`, `x5c`, `x5u`) are not even looked at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::auth::Refusal;

/// The parts of a token.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// What is signed: header and payload as they travel.
    pub(super) signed: &'a [u8],
    /// Decoded, and of no worth before the signature was verified.
    pub(super) payload: Vec<u8>,
    pub(super) signature: &'a str,
    pub(super) header: Header,
}

/// What a token says about itself. The same member twice is an error.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default)]
    pub(super) kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut parts = text.split('.');
        let parts = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(header), Some(payload), Some(signature), None) = parts else {
            return Err(Refusal::Malformed);
        };
        if header.is_empty() || signature.is_empty() {
            return Err(Refusal::Malformed);
        }
        let decoded = decode(header)?;
        // A list of the right length would pass for an object otherwise.
        if decoded.first() != Some(&b'{') {
            return Err(Refusal::Malformed);
        }
        let parsed: Header = serde_json::from_slice(&decoded).map_err(|_| Refusal::Malformed)?;
        if parsed.crit.is_some() {
            return Err(Refusal::Critical);
        }
        Ok(Self {
            signed: text.as_bytes()[..header.len() + 1 + payload.len()].as_ref(),
            payload: decode(payload)?,
            signature,
            header: parsed,
        })
    }
}

/// Base64url without padding and without bits that mean nothing, so that a token has one spelling.
fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}
