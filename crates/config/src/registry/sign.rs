//! Signatures of records: Ed25519 (RFC 8032), over the text of the record as it stands in its envelope.

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::record::{FORMAT, MOST, Record};
use crate::secret::Secret;

/// What is written into a log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    record: &'a RawValue,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

/// Why a text of a log is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It is longer than any record may be.
    #[error("it has {0} bytes, and a record has at most {MOST}")]
    TooLong(usize),
    /// It is no record.
    #[error("it is no record: {0}")]
    Malformed(String),
    /// Another format.
    #[error("it has the format `{0}`, and this program knows `{FORMAT}`")]
    Format(String),
    /// Nobody signed it.
    #[error("it is not signed")]
    Unsigned,
    /// Somebody else signed it, or it was changed afterwards.
    #[error("its signature is by no key of `registry.trust`")]
    Foreign,
}

/// Whoever may publish.
pub struct Signer(Ed25519KeyPair);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(***)")
    }
}

impl Signer {
    /// A new key, with the text by which it is [read](Self::read).
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<(Self, Secret), String> {
        let failed = |_| "the system has no random numbers".to_owned();
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let seed = pair.seed().map_err(failed)?;
        let seed = seed.as_be_bytes().map_err(failed)?;
        Ok((Self(pair), Secret::new(STANDARD.encode(seed.as_ref()))))
    }

    /// A key from the base64 of its 32 bytes.
    ///
    /// # Errors
    /// It is none; the text itself is not repeated.
    pub fn read(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).ok();
        let pair = bytes.and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
        let wrong =
            "this is no key: it is the base64 of 32 bytes, as `seaworthy config keygen` writes it";
        pair.map(Self).ok_or_else(|| wrong.to_owned())
    }

    /// What others need to believe it, for `registry.trust`.
    #[must_use]
    pub fn public(&self) -> String {
        STANDARD.encode(self.0.public_key().as_ref())
    }
}

/// A record as it is written into a log. Without a signer nobody signs it.
///
/// # Errors
/// It is longer than any record may be.
pub fn seal(record: &Record, signer: Option<&Signer>) -> Result<String, Untrusted> {
    let malformed = |error: serde_json::Error| Untrusted::Malformed(error.to_string());
    let record = serde_json::value::to_raw_value(record).map_err(malformed)?;
    let signature = signer.map(|Signer(pair)| STANDARD.encode(pair.sign(record.get().as_bytes())));
    let envelope = Envelope {
        record: &record,
        signature,
    };
    let text = serde_json::to_string(&envelope).map_err(malformed)?;
    match text.len() {
        length if length > MOST => Err(Untrusted::TooLong(length)),
        _ => Ok(text),
    }
}

/// Whose records are believed.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: Vec<Vec<u8>>,
}

impl Trust {
    /// Believes what these public keys sign; everything, when there is none.
    ///
    /// # Errors
    /// Names the first that is no key.
    pub fn new(keys: &[String]) -> Result<Self, String> {
        let read = |key: &String| {
            let bytes = STANDARD.decode(key.trim()).ok();
            let bytes = bytes.filter(|bytes| bytes.len() == 32);
            bytes.ok_or_else(|| format!("`{key}` is no public key: it is the base64 of 32 bytes"))
        };
        let keys = keys.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// The record in a text of a log.
    ///
    /// # Errors
    /// It is none, or nobody signed it who may.
    pub fn open(&self, text: &str) -> Result<Record, Untrusted> {
        if text.len() > MOST {
            return Err(Untrusted::TooLong(text.len()));
        }
        let malformed = |error: serde_json::Error| Untrusted::Malformed(error.to_string());
        let envelope: Envelope<'_> = serde_json::from_str(text).map_err(malformed)?;
        let signed = envelope.record.get();
        if !self.keys.is_empty() {
            let signature = envelope.signature.ok_or(Untrusted::Unsigned)?;
            let signature = STANDARD.decode(signature).map_err(|_| Untrusted::Foreign)?;
            let is_by = |key: &Vec<u8>| {
                let key = UnparsedPublicKey::new(&ED25519, key);
                key.verify(signed.as_bytes(), &signature).is_ok()
            };
            if !self.keys.iter().any(is_by) {
                return Err(Untrusted::Foreign);
            }
        }
        #[derive(Deserialize)]
        struct Formatted {
            format: String,
        }
        // Before the rest is read, because another format has other parts.
        let Formatted { format } = serde_json::from_str(signed).map_err(malformed)?;
        if format != FORMAT {
            return Err(Untrusted::Format(format.chars().take(64).collect()));
        }
        serde_json::from_str(signed).map_err(malformed)
    }
}
