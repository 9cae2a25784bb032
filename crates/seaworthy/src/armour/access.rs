//! Who may come in, and with what: keys, tokens, policies and the rules for bodies, read from their files and built.
//!
//! What a file holds is found out here, before anything is served. A fault in one of them ends the start, with the line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use seaworthy_core::clock::Clock;
use seaworthy_core::names::{event, metric};
use seaworthy_core::principal::Kind;
use seaworthy_core::route::RouteTable;
use seaworthy_http::auth::jwt::{self, Jwks, KeySet, Pace, Place, Source, Verifier};
use seaworthy_http::auth::policy::cedar::{self, Cedar, Fault, Text};
use seaworthy_http::auth::policy::{LARGEST_DECISION, Policy, Remote};
use seaworthy_http::auth::{self, Auth, Keys, Mode, Strictness};
use seaworthy_http::outbound::Client;
use seaworthy_http::validate;
use seaworthy_telemetry::metrics::{Counter, Histogram, Registry};

use super::bodies::{self, Described};
use crate::config::auth::{self as section, Demand, Fail, Identity};
use crate::config::{Config, Preset};
use crate::failure::Failure;

/// See the [module documentation](self).
#[derive(Clone)]
pub struct Access {
    /// Who is asked who he is, if anybody is.
    pub auth: Option<Arc<Auth>>,
    /// Keys that somebody has to keep fetching.
    pub jwks: Option<Arc<Jwks>>,
    /// What bodies have to be like, by route.
    pub bodies: validate::ByRoute,
    /// Schemas that the app describes itself.
    pub described: Vec<Described>,
    /// Counts bodies that are not.
    pub watch: Arc<dyn validate::Watch>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Reads and builds what `config` names.
    ///
    /// # Errors
    /// A file that cannot be read, or that is not what it should be.
    pub fn build(
        config: &Config,
        routes: &Arc<RouteTable>,
        clock: Clock,
        registry: &Arc<Registry>,
    ) -> Result<Self, Failure> {
        let (tokens, jwks) = tokens(config, clock)?;
        let general = if config.auth.required {
            Mode::Required
        } else {
            Mode::Optional
        };
        let modes: Vec<Mode> = std::iter::once(general)
            .chain(
                config
                    .routes
                    .iter()
                    .map(|route| route.auth.map_or(general, mode)),
            )
            .collect();
        let patterns = config.routes.iter().map(|route| route.pattern.as_str());
        let policy = policy(config, routes, clock)?;
        let strictness = Strictness::of(
            patterns.zip(modes[1..].iter().copied()),
            general,
            policy.is_some(),
        );
        let built = auth::Config {
            keys: keys(config)?,
            tokens,
            header: config
                .auth
                .user_header
                .as_deref()
                .and_then(|name| name.parse().ok()),
            policy,
            order: config
                .auth
                .identify
                .iter()
                .map(|kind| identity(*kind))
                .collect(),
            modes,
            strictness,
        };
        let is_wanted = built.keys.is_some()
            || built.tokens.is_some()
            || built.header.is_some()
            || built.policy.is_some()
            || built.modes.contains(&Mode::Required);
        let watch = Arc::new(Told::new(registry));
        let (bodies, described) = bodies::build(config)?;
        Ok(Self {
            auth: is_wanted.then(|| Auth::new(built, Some(watch.clone()))),
            jwks,
            bodies,
            described,
            watch: Arc::new(bodies::Counted::new(registry)),
        })
    }
}

const fn mode(demand: Demand) -> Mode {
    match demand {
        Demand::None => Mode::None,
        Demand::Optional => Mode::Optional,
        Demand::Required => Mode::Required,
    }
}

const fn identity(kind: Identity) -> Kind {
    match kind {
        Identity::ApiKey => Kind::ApiKey,
        Identity::Jwt => Kind::Token,
        Identity::Header => Kind::Header,
    }
}

/// The text of a file that a setting names.
pub(super) fn read(setting: &str, path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "{setting}: {} cannot be read: {error}",
            path.display()
        ))
    })
}

fn keys(config: &Config) -> Result<Option<(HeaderName, Keys)>, Failure> {
    let Some(named) = config.api_keys() else {
        return Ok(None);
    };
    let setting = if config.auth.api_keys.is_some() {
        "auth.api_keys.file"
    } else {
        "limits.keys_file"
    };
    let text = read(setting, &named.file)?;
    let keys = Keys::parse(&text)
        .map_err(|bad| Failure::usage(format!("{setting}: {}, {bad}", named.file.display())))?;
    let header = named
        .header
        .parse()
        .map_err(|_| Failure::usage(format!("`{}` is no header", named.header)))?;
    Ok(Some((header, keys)))
}

fn tokens(config: &Config, clock: Clock) -> Result<(Option<Verifier>, Option<Arc<Jwks>>), Failure> {
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
            if config.preset == Some(Preset::Soma)
                && !named.contains("://")
                && !Path::new(named).exists()
            {
                tracing::warn!(
                    event = event::CONFIG_WARNING,
                    setting = "auth.jwt.jwks",
                    "there is no file {named}, so the tokens that the preset would read are not looked at; set auth.jwt.jwks to the issuer's key set"
                );
                return Ok((None, None));
            }
            let jwks = Jwks::new(
                place(section, named)?,
                algorithms.clone(),
                pace(section),
                clock,
            );
            (Source::Fetched(jwks.clone()), Some(jwks))
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

fn policy(
    config: &Config,
    routes: &Arc<RouteTable>,
    clock: Clock,
) -> Result<Option<Policy>, Failure> {
    let Some(section) = &config.auth.policy else {
        return Ok(None);
    };
    if let Some(url) = &section.url {
        let client = Client::new(url, section.ca.clone(), LARGEST_DECISION);
        let open = section.fail == Fail::Open;
        let remote = Remote::new(
            client,
            section.timeout.get(),
            open,
            section.cache.get(),
            clock,
        );
        return Ok(Some(Policy::remote(remote, routes.clone())));
    }
    let Some(files) = &section.cedar else {
        return Ok(None);
    };
    let policies = read("auth.policy.cedar.policies", &files.policies)?;
    let other = |setting: &str, path: &Option<std::path::PathBuf>| {
        path.as_ref().map(|path| read(setting, path)).transpose()
    };
    let entities = other("auth.policy.cedar.entities", &files.entities)?;
    let schema = other("auth.policy.cedar.schema", &files.schema)?;
    let built = Cedar::new(&policies, entities.as_deref(), schema.as_deref());
    let cedar = built.map_err(|faults| {
        let shown = faults.iter().map(|fault| {
            let (path, text) = match fault.text {
                Text::Policies => (Some(&files.policies), policies.as_str()),
                Text::Entities => (
                    files.entities.as_ref(),
                    entities.as_deref().unwrap_or_default(),
                ),
                Text::Schema => (
                    files.schema.as_ref(),
                    schema.as_deref().unwrap_or(cedar::SCHEMA),
                ),
            };
            let name = path.map_or_else(
                || "the schema".to_owned(),
                |path| path.display().to_string(),
            );
            pointed(fault, &name, text)
        });
        Failure::usage(shown.collect::<Vec<_>>().join("\n"))
    })?;
    Ok(Some(Policy::cedar(cedar, routes.clone())))
}

/// A fault with its line, and a caret below.
fn pointed(fault: &Fault, name: &str, text: &str) -> String {
    let mut shown = fault.message.clone();
    if let Some((start, end)) = fault.at {
        let start = floor(text, start);
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let stop = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let number = text[..start].matches('\n').count() + 1;
        let column = text[begin..start].chars().count();
        let width = text[start..floor(text, end).clamp(start, stop)]
            .chars()
            .count()
            .max(1);
        let line = &text[begin..stop];
        let (blank, mark) = (" ".repeat(column), "^".repeat(width));
        shown = format!(
            "{shown}\n --> {name}:{number}:{}\n  | {line}\n  | {blank}{mark}",
            column + 1
        );
    } else {
        shown = format!("{name}: {shown}");
    }
    match &fault.help {
        Some(help) => format!("{shown}\n  = help: {help}"),
        None => shown,
    }
}

/// The last place between characters that is not behind `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// Counts what came of requests.
struct Told {
    outcomes: Vec<(&'static str, Counter)>,
    decisions: Vec<(&'static str, Counter)>,
    latency: Histogram,
}

impl Told {
    fn new(registry: &Arc<Registry>) -> Self {
        let count = |metric, words: &[&'static str]| {
            let counters = words
                .iter()
                .map(|word| (*word, registry.counter(metric, &[word])));
            counters.collect()
        };
        Self {
            outcomes: count(
                &metric::AUTHENTICATIONS,
                &[
                    "api_key",
                    "jwt",
                    "header",
                    "anonymous",
                    "refused",
                    "unavailable",
                ],
            ),
            decisions: count(&metric::POLICY_DECISIONS, &["allow", "deny", "error"]),
            latency: registry.histogram(&metric::POLICY_LATENCY, &[]),
        }
    }
}

fn inc(counters: &[(&'static str, Counter)], word: &str) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == word) {
        counter.inc();
    }
}

impl auth::Watch for Told {
    fn identified(&self, outcome: &'static str) {
        inc(&self.outcomes, outcome);
    }

    fn decided(&self, decision: &'static str, took: Duration) {
        inc(&self.decisions, decision);
        self.latency.observe(took.as_secs_f64());
    }
}
