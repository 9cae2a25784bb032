//! What a verified token claims: whom, for whom, by whom and for how long.

use std::fmt;

use seaworthy_core::principal::{Kind, Principal};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::auth::Refusal;

/// Longer names of somebody are refused, not cut: two must not become one.
const LONGEST: usize = 256;

/// What a token has to claim.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who may have issued it; empty is anybody with the key.
    pub issuers: Vec<String>,
    /// Whom it may be meant for; empty is anybody.
    pub audiences: Vec<String>,
    /// How far clocks may differ, in seconds.
    pub leeway: u32,
    /// Whether a token without an end is refused.
    pub needs_end: bool,
    /// The claim that says who it is.
    pub subject: String,
    /// The claim that says the tier.
    pub tier: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: 30,
            needs_end: true,
            subject: "sub".to_owned(),
            tier: "tier".to_owned(),
        }
    }
}

/// The claims by name. A name that comes twice makes them unreadable, because readers disagree which one counts.
struct Claims(Map<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("the same claim twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

impl Rules {
    /// Who a token of these claims speaks for, and until when, in seconds since 1970.
    pub(super) fn judge(&self, payload: &[u8], now: u64) -> Result<(Principal, u64), Refusal> {
        let Claims(claims) = serde_json::from_slice(payload).map_err(|_| Refusal::Malformed)?;
        let end = match time(&claims, "exp")? {
            Some(end) => end.saturating_add(self.leeway.into()),
            None if self.needs_end => return Err(Refusal::Endless),
            None => u64::MAX,
        };
        // From its second on it is over (RFC 7519, 4.1.4).
        if now >= end {
            return Err(Refusal::Expired);
        }
        let begin = time(&claims, "nbf")?.unwrap_or(0);
        if now.saturating_add(self.leeway.into()) < begin {
            return Err(Refusal::Early);
        }
        if !named(claims.get("iss"), &self.issuers, false) {
            return Err(Refusal::Issuer);
        }
        if !named(claims.get("aud"), &self.audiences, true) {
            return Err(Refusal::Audience);
        }
        let word = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(word)) if word.len() <= LONGEST => Ok(Some(word.as_str())),
            Some(_) => Err(Refusal::Malformed),
        };
        let subject = word(&self.subject)?.filter(|subject| !subject.is_empty());
        let principal = Principal {
            kind: Kind::Token,
            id: subject.ok_or(Refusal::Nobody)?.into(),
            tier: word(&self.tier)?.map(Box::from),
        };
        Ok((principal, end))
    }
}

/// A time in seconds since 1970. A fraction is cut: nobody's clock is that good.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    if let Some(seconds) = value.as_u64() {
        return Ok(Some(seconds));
    }
    // Beyond 2^53 nobody means a time.
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..9e15).contains(seconds));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let seconds = seconds.map(|seconds| seconds as u64);
    seconds.map(Some).ok_or(Refusal::Malformed)
}

/// Whether `said` names one of `known`; with `several`, a list may name it.
fn named(said: Option<&Value>, known: &[String], several: bool) -> bool {
    let is_known = |value: &Value| {
        let word = value.as_str();
        word.is_some_and(|word| known.iter().any(|known| known == word))
    };
    known.is_empty()
        || match said {
            Some(Value::Array(list)) if several => list.iter().any(is_known),
            Some(value) => is_known(value),
            None => false,
        }
}
