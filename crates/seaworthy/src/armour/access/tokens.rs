//! Tokens that are believed: which algorithms, whose keys, what they have to say.

use std::sync::Arc;

use seaworthy_core::clock::Clock;
use seaworthy_core::names::event;
use seaworthy_http::auth::jwt::{self, Jwks, KeySet, Pace, Place, Source, Verifier};
use seaworthy_http::outbound::Client;

use super::text::read;
use crate::config::Config;
use crate::config::auth as section;
use crate::failure::Failure;

/// A key set that somebody has to keep fetching, and the words that it was made by.
#[derive(Clone, Debug)]
pub struct Fetched {
    section: section::Jwt,
    /// The keys.
    pub jwks: Arc<Jwks>,
}

/// Who is believed. The key set of `before` goes on where the file says the same of it.
pub(super) fn tokens(
    config: &Config,
    clock: Clock,
    before: Option<&Fetched>,
) -> Result<(Option<Verifier>, Option<Fetched>), Failure> {
    let Some(section) = &config.auth.jwt else {
        return Ok((None, None));
    };
    let bad =
        |setting: &str, bad: jwt::BadKey| Failure::usage(format!("auth.jwt.{setting}: {bad}"));
    let named = section.algorithms.iter().map(|name| jwt::algorithm(name));
    let algorithms = named
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| bad("algorithms", why))?;
    let (source, jwks) = match (&section.key, &section.secret, &section.jwks) {
        (Some(path), ..) => {
            let pem = read("auth.jwt.key", path)?;
            let key =
                jwt::Key::from_pem(pem.as_bytes(), &algorithms).map_err(|why| bad("key", why))?;
            (Source::Fixed(KeySet::of(key)), None)
        }
        (None, Some(secret), _) => {
            let key = jwt::Key::from_secret(secret.expose().as_bytes(), &algorithms);
            (
                Source::Fixed(KeySet::of(key.map_err(|why| bad("secret", why))?)),
                None,
            )
        }
        (None, None, jwks) => {
            let named = jwks.as_deref().unwrap_or_default();
            if section.is_awaited(config.preset) {
                tracing::warn!(
                    event = event::CONFIG_WARNING,
                    setting = "auth.jwt.jwks",
                    "there is no file {named}, so the tokens that the preset would read are not looked at; set auth.jwt.jwks to the issuer's key set"
                );
                return Ok((None, None));
            }
            let fetched = match before.filter(|before| before.section == *section) {
                Some(same) => same.clone(),
                None => Fetched {
                    section: section.clone(),
                    jwks: Jwks::new(
                        place(section, named)?,
                        algorithms.clone(),
                        pace(section),
                        clock,
                    ),
                },
            };
            (Source::Fetched(fetched.jwks.clone()), Some(fetched))
        }
    };
    let rules = jwt::Rules {
        issuers: section.issuer.clone(),
        audiences: section.audience.clone(),
        leeway: u32::try_from(section.leeway.get().as_secs()).unwrap_or(u32::MAX),
        needs_end: section.require_exp,
        subject: section.claims.id.clone(),
        tier: section.claims.tier.clone(),
    };
    let verifier = Verifier::new(algorithms, source, rules, jwt::REMEMBERED);
    Ok((Some(verifier.map_err(|why| bad("algorithms", why))?), jwks))
}

fn place(section: &section::Jwt, named: &str) -> Result<Place, Failure> {
    if !named.contains("://") {
        return Ok(Place::File(named.into()));
    }
    let url = named.parse();
    let url = url.map_err(|bad: seaworthy_core::dsn::NotADsn| {
        Failure::usage(format!("auth.jwt.jwks: {bad}"))
    })?;
    Ok(Place::Url(Client::new(
        &url,
        section.ca.clone(),
        jwt::LARGEST_KEY_SET,
    )))
}

fn pace(section: &section::Jwt) -> Pace {
    Pace {
        refresh: section.refresh.get(),
        max_stale: section.max_stale.get(),
        ..Pace::default()
    }
}
