//! The decision about one request: at once if possible, else what has to be waited for.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderName, Request};
use seaworthy_core::catalogue;
use seaworthy_core::principal::{Kind, Principal};

use super::policy::{Decision, Question};
use super::{Config, Keys, Mode, Refusal, Watch, credentials};
use crate::error::Error;
use crate::exchange::Exchange;

/// A header that names somebody at greater length is refused, not cut: two must not become one.
const LONGEST: usize = 256;

/// What all requests are decided by.
pub struct Auth {
    config: Config,
    watch: Option<Arc<dyn Watch>>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl Auth {
    /// The known API keys, and the header that they come in.
    pub fn keys(&self) -> Option<&(HeaderName, Keys)> {
        self.config.keys.as_ref()
    }
}

/// Who it is, or why not.
pub(super) type Verdict = Result<Option<Arc<Principal>>, Error>;

/// How far one gets without waiting.
pub(super) enum Begun {
    Decided(Verdict),
    Waits(Waiting),
}

/// What vouches for somebody.
#[derive(Default)]
struct Found {
    key: Option<Arc<Principal>>,
    token: Option<Arc<Principal>>,
    header: Option<Arc<Principal>>,
    /// A key came that nobody knows.
    unknown: bool,
}

/// All that is left of a request that waits for a decision about it.
pub(super) struct Waiting {
    auth: Arc<Auth>,
    mode: Mode,
    found: Found,
    /// A token whose key is not there yet.
    token: Option<String>,
    question: Option<Question>,
}

impl Auth {
    /// Decides by `config`, and tells `watch`.
    pub fn new(config: Config, watch: Option<Arc<dyn Watch>>) -> Arc<Self> {
        Arc::new(Self { config, watch })
    }

    /// Takes away a name that nobody vouches for, or the app would believe it.
    pub(super) fn cleanse<B>(&self, request: &mut Request<B>) {
        let Some(name) = &self.config.header else {
            return;
        };
        let exchange = request.extensions().get::<Exchange>();
        if !exchange.is_some_and(|exchange| exchange.peer_trusted) {
            request.headers_mut().remove(name);
        }
    }

    pub(super) fn begin<B>(self: &Arc<Self>, request: &Request<B>) -> Begun {
        let (method, path) = (request.method().as_str(), request.uri().path());
        let Some(exchange) = request.extensions().get::<Exchange>() else {
            // Nobody has identified it, so nothing can be known of it.
            return Begun::Decided(Err(Error::new(&catalogue::INTERNAL)));
        };
        let config = &self.config;
        let own = config.modes.get(exchange.route.index()).copied();
        let own = own
            .or_else(|| config.modes.first().copied())
            .unwrap_or_default();
        let mode = config
            .strictness
            .mode(method, path)
            .map_or(own, |mode| mode.max(own));
        if config.strictness.refuses(path, mode) {
            let error = Error::new(&catalogue::MALFORMED_REQUEST);
            let reason = "the path can be read in more than one way";
            return Begun::Decided(Err(error.with("reason", reason)));
        }
        if mode == Mode::None {
            return Begun::Decided(Ok(None));
        }
        let (found, token) = match self.look(request, exchange) {
            Ok(seen) => seen,
            Err(refusal) => return Begun::Decided(Err(self.refuse(refusal))),
        };
        let question = config
            .policy
            .as_ref()
            .map(|policy| policy.question(request, exchange));
        if token.is_some() {
            return Begun::Waits(Waiting {
                auth: self.clone(),
                mode,
                found,
                token,
                question,
            });
        }
        self.after_identity(mode, found, question)
    }

    /// What can be seen at once; a token comes back whose key may yet be fetched.
    fn look<B>(
        &self,
        request: &Request<B>,
        exchange: &Exchange,
    ) -> Result<(Found, Option<String>), Refusal> {
        let headers = request.headers();
        let mut found = Found::default();
        let mut waits = None;
        if let Some((name, keys)) = &self.config.keys
            && let Some(value) = credentials::single(headers, name)?
        {
            found.key = keys.find(value.as_bytes());
            found.unknown = found.key.is_none();
        }
        if let Some(tokens) = &self.config.tokens
            && let Some(token) = credentials::bearer(headers)?
        {
            match tokens.verify(token, now()) {
                Ok(principal) => found.token = Some(principal),
                Err(Refusal::UnknownKey | Refusal::Unavailable) if tokens.is_fetched() => {
                    waits = Some(token.to_owned());
                }
                Err(refusal) => return Err(refusal),
            }
        }
        if let Some(name) = &self.config.header
            && exchange.peer_trusted
            && let Some(value) = credentials::single(headers, name)?
        {
            let id = std::str::from_utf8(value.as_bytes()).map_err(|_| Refusal::Malformed)?;
            if id.len() > LONGEST {
                return Err(Refusal::Malformed);
            }
            found.header = (!id.is_empty()).then(|| {
                Arc::new(Principal {
                    kind: Kind::Header,
                    id: id.into(),
                    tier: None,
                })
            });
        }
        Ok((found, waits))
    }

    fn after_identity(
        self: &Arc<Self>,
        mode: Mode,
        found: Found,
        question: Option<Question>,
    ) -> Begun {
        let principal = match self.choose(mode, found) {
            Ok(principal) => principal,
            Err(error) => return Begun::Decided(Err(error)),
        };
        let (Some(policy), Some(mut question)) = (&self.config.policy, question) else {
            return Begun::Decided(Ok(principal));
        };
        question.principal = principal;
        let began = Instant::now();
        match policy.decide(&question) {
            Some(decision) => {
                let allowed = self.judge(decision, began);
                Begun::Decided(allowed.map(|()| question.principal))
            }
            None => Begun::Waits(Waiting {
                auth: self.clone(),
                mode,
                found: Found::default(),
                token: None,
                question: Some(question),
            }),
        }
    }

    fn choose(&self, mode: Mode, mut found: Found) -> Verdict {
        let principal = self.config.order.iter().find_map(|kind| match kind {
            Kind::ApiKey => found.key.take(),
            Kind::Token => found.token.take(),
            Kind::Header => found.header.take(),
        });
        if principal.is_none() && mode == Mode::Required {
            return Err(self.refuse(if found.unknown {
                Refusal::UnknownApiKey
            } else {
                Refusal::Missing
            }));
        }
        let outcome = principal
            .as_ref()
            .map_or("anonymous", |principal| principal.kind.word());
        self.told(outcome);
        Ok(principal)
    }

    fn refuse(&self, refusal: Refusal) -> Error {
        self.told(match refusal {
            Refusal::Unavailable => "unavailable",
            _ => "refused",
        });
        refusal.error()
    }

    fn told(&self, outcome: &'static str) {
        if let Some(watch) = &self.watch {
            watch.identified(outcome);
        }
    }

    fn judge(&self, decision: Decision, began: Instant) -> Result<(), Error> {
        if let Some(watch) = &self.watch {
            watch.decided(decision.word(), began.elapsed());
        }
        match decision {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) => {
                let error = Error::new(&catalogue::FORBIDDEN);
                Err(match reason {
                    Some(reason) => error.with("reason", reason),
                    None => error,
                })
            }
            Decision::Failed { open: true } => Ok(()),
            Decision::Failed { open: false } => Err(Error::new(&catalogue::AUTH_UNAVAILABLE)
                .with("reason", "the policy could not be asked")),
        }
    }
}

impl Waiting {
    /// Waits for whatever is missing.
    pub(super) async fn finish(mut self) -> Verdict {
        let auth = self.auth;
        if let (Some(text), Some(tokens)) = (&self.token, &auth.config.tokens) {
            tokens.look_again().await;
            match tokens.verify(text, now()) {
                Ok(principal) => self.found.token = Some(principal),
                Err(refusal) => return Err(auth.refuse(refusal)),
            }
            self.question = match auth.after_identity(self.mode, self.found, self.question) {
                Begun::Decided(verdict) => return verdict,
                Begun::Waits(waiting) => waiting.question,
            };
        }
        let (Some(policy), Some(question)) = (&auth.config.policy, self.question) else {
            return Err(Error::new(&catalogue::INTERNAL));
        };
        let began = Instant::now();
        let decision = policy.ask(&question).await;
        auth.judge(decision, began)?;
        Ok(question.principal)
    }
}

/// Seconds since 1970, by the clock that issuers go by.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
