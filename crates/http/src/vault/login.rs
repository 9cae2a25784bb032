//! Getting in, and staying in.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::answer::Document;
use super::{Failure, Vault};
use crate::outbound::token;

/// How to get in.
#[derive(Clone)]
pub enum Login {
    /// With this token.
    Token(String),
    /// With the token in this file, which is read again when it is refused: an agent may put a new one there.
    File(PathBuf),
    /// As the account of a pod.
    Kubernetes {
        /// The role.
        role: String,
        /// Where the method is mounted.
        mount: String,
        /// The file with the token of the account.
        jwt: PathBuf,
    },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Kubernetes { role, .. } => f.debug_tuple("Kubernetes").field(role).finish(),
        }
    }
}

/// What one shows.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: String,
    /// When it ends, if it does.
    pub(super) ends: Option<Instant>,
    /// When to renew it, if that can be done.
    renew: Option<Instant>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    fn new(value: String, lives: Option<Duration>, renewable: bool) -> Self {
        let now = Instant::now();
        let lives = lives.filter(|lives| !lives.is_zero());
        let half = lives.filter(|_| renewable).map(|lives| lives / 2);
        Self {
            value,
            ends: lives.and_then(|lives| now.checked_add(lives)),
            renew: half.and_then(|half| now.checked_add(half)),
        }
    }

    /// The token that an answer to a login gives.
    fn of(document: &Document) -> Option<Self> {
        let auth = &document.auth;
        let value = auth.get("client_token")?.as_str()?.to_owned();
        let seconds = auth.get("lease_duration").and_then(Value::as_u64);
        let renewable = auth.get("renewable").and_then(Value::as_bool);
        Some(Self::new(
            value,
            seconds.map(Duration::from_secs),
            renewable.unwrap_or(false),
        ))
    }

    fn is_over(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }
}

impl Vault {
    /// A token that is good now, renewed when half of its time is over.
    pub(super) async fn token(&self, within: Duration) -> Result<Token, Failure> {
        // Whoever else needs it waits, and finds it renewed.
        let mut kept = self.0.token.lock().await;
        let token = match kept.take() {
            Some(token) if !token.is_over() => self.renewed(token, within).await,
            _ => self.log_in(within).await?,
        };
        *kept = Some(token.clone());
        Ok(token)
    }

    /// Whether another login could give another token.
    pub(super) fn can_log_in_again(&self) -> bool {
        !matches!(self.0.settings.login, Login::Token(_))
    }

    /// Forgets a token that was refused.
    pub(super) async fn forget(&self, refused: &str) {
        let mut kept = self.0.token.lock().await;
        kept.take_if(|token| token.value == refused);
    }

    async fn renewed(&self, token: Token, within: Duration) -> Token {
        if token.renew.is_none_or(|at| at > Instant::now()) {
            return token;
        }
        let asked = self.ask(
            Method::PUT,
            "auth/token/renew-self",
            Some(json!({})),
            Some(&token.value),
            within,
        );
        match asked.await {
            Err(failure) if !failure.is_final() => token,
            answer => match answer.ok().as_ref().and_then(Token::of) {
                Some(renewed) => renewed,
                // It is good until it ends; then there is another login.
                None => Token {
                    renew: None,
                    ..token
                },
            },
        }
    }

    async fn log_in(&self, within: Duration) -> Result<Token, Failure> {
        match &self.0.settings.login {
            Login::Token(value) => self.looked_up(value.clone(), within).await,
            Login::File(path) => {
                let value = read(path).await?;
                self.looked_up(value, within).await
            }
            Login::Kubernetes { role, mount, jwt } => {
                let question = json!({"role": role, "jwt": read(jwt).await?});
                let path = format!("auth/{}/login", mount.trim_matches('/'));
                let document = self
                    .ask(Method::POST, &path, Some(question), None, within)
                    .await?;
                Token::of(&document)
                    .ok_or_else(|| Failure::Strange(path, "the login gives no token"))
            }
        }
    }

    /// How long a token is good for. One that may not even ask that is taken as it is; without an answer it would be kept and
    /// never renewed.
    async fn looked_up(&self, value: String, within: Duration) -> Result<Token, Failure> {
        let asked = self.ask(
            Method::GET,
            "auth/token/lookup-self",
            None,
            Some(&value),
            within,
        );
        let data = match asked.await {
            Ok(document) => document.data,
            Err(Failure::Refused(_, 403, _)) => Value::Null,
            Err(failure) => return Err(failure),
        };
        let lives = data
            .get("ttl")
            .and_then(Value::as_u64)
            .map(Duration::from_secs);
        let renewable = data
            .get("renewable")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        Ok(Token::new(value, lives, renewable))
    }
}

async fn read(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::NoToken {
        path: path.to_owned(),
        source,
    };
    token::read(path).await.map_err(failed)
}
