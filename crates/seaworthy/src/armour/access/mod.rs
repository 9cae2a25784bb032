//! Who may come in, and with what: keys, tokens, policies and the rules for bodies, read from their files and built.
//!
//! What a file holds is found out here, before anything is served. A fault in one of them ends the start, with the line.

mod bodies;
mod policy;
mod text;
mod tokens;
mod told;

use std::sync::Arc;

use http::HeaderName;
use seaworthy_core::clock::Clock;
use seaworthy_core::principal::Kind;
use seaworthy_core::route::RouteTable;
use seaworthy_http::auth::{self, Auth, Keys, Mode, Strictness};
use seaworthy_http::ban::Exempts;
use seaworthy_http::validate;
use seaworthy_telemetry::metrics::Registry;

pub use self::bodies::Described;
use self::policy::policy;
use self::text::read;
pub use self::tokens::Fetched;
use self::tokens::tokens;
use self::told::Told;
use crate::config::Config;
use crate::config::auth::{Demand, Identity};
use crate::failure::Failure;

/// See the [module documentation](self).
#[derive(Clone)]
pub struct Access {
    /// Who is asked who he is, if anybody is.
    pub auth: Option<Arc<Auth>>,
    /// Keys that somebody has to keep fetching.
    pub fetched: Option<Fetched>,
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
    /// Reads and builds what `config` names. What was fetched for the configuration `before` is still known, where it is the same.
    ///
    /// # Errors
    /// A file that cannot be read, or that is not what it should be.
    pub fn build(
        config: &Config,
        routes: &Arc<RouteTable>,
        clock: Clock,
        registry: &Arc<Registry>,
        before: Option<&Self>,
    ) -> Result<Self, Failure> {
        let fetched = before.and_then(|before| before.fetched.as_ref());
        let (tokens, fetched) = tokens(config, clock, fetched)?;
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
        for old in before.iter().flat_map(|before| &before.described) {
            let same = described.iter().filter(|new| new.pattern == old.pattern);
            same.for_each(|new| new.schema.store(old.schema.load_full()));
        }
        Ok(Self {
            auth: is_wanted.then(|| Auth::new(built, Some(watch.clone()))),
            fetched,
            bodies,
            described,
            watch: Arc::new(bodies::Counted::new(registry)),
        })
    }
}

impl Access {
    /// Tells by the head of a request whether bans count it, where some keys are exempt. Only whoever shows a key costs a look-up.
    pub fn exempts(&self, config: &Config) -> Option<Exempts> {
        let tiers = config.bans.as_ref()?.exempt_tiers.clone();
        let auth = self.auth.clone()?;
        let is_exempt = |tier: &str| tiers.iter().any(|exempt| exempt == tier);
        let (_, keys) = auth.keys()?;
        keys.tiers().any(is_exempt).then_some(())?;
        Some(Arc::new(move |headers| {
            let found = auth.keys().and_then(|(header, keys)| {
                let key = headers.get(header)?;
                keys.find(key.as_bytes())
            });
            let tier = found.as_ref().and_then(|found| found.tier.as_deref());
            tier.is_some_and(|tier| tiers.iter().any(|exempt| exempt == tier))
        }))
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
