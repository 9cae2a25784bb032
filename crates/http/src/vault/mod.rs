//! Reads secrets of HashiCorp Vault and OpenBao.
//!
//! It logs in with a token, a file with one, or the account of a pod, renews what it has before that ends, and logs in again
//! when it was taken away. Secrets of the KV engine have versions and no lease; those of other engines are made for us, and their leases
//! are renewed for as long as the server lets us. What the server says of an error is not repeated: it may hold what was asked for.

mod answer;
mod lease;
mod login;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use seaworthy_core::dsn::Dsn;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::outbound::{self, Client};
use answer::{Document, read};
use lease::Held;
use login::Token;

pub use login::Login;

/// The most of an answer that is read.
const MOST: usize = 1 << 20;

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// Why a secret cannot be read, in words that hold none.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no answer.
    #[error("{0}: {1}")]
    Silent(String, outbound::Failure),
    /// The answer is no.
    #[error("{0} answers {1}: {2}")]
    Refused(String, u16, &'static str),
    /// The answer is something else.
    #[error("{0} does not answer as a Vault does: {1}")]
    Strange(String, &'static str),
    /// It is there, and not what was asked for.
    #[error("{0} has no field `{1}` with a text in it")]
    NoField(String, String),
    /// What logs in cannot be read.
    #[error("{path} cannot be read: {source}")]
    NoToken {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Something cannot be sent.
    #[error("{0}")]
    Unfit(&'static str),
}

impl Failure {
    /// Whether the server says that it will not do it, and another try changes nothing.
    fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_, 400 | 403 | 404, _))
    }
}

/// Where a server is and how to get in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its address, without a path.
    pub address: Dsn,
    /// The namespace, where it has some.
    pub namespace: Option<String>,
    /// The certificates that are trusted instead of those of the system.
    pub ca: Option<PathBuf>,
    /// How to get in.
    pub login: Login,
}

/// Which secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where the engine is mounted.
    pub mount: String,
    /// The path below.
    pub path: String,
    /// The field of it.
    pub field: String,
    /// Whether the engine keeps versions (KV 2).
    pub versions: bool,
}

/// A field of a secret.
pub struct Found {
    /// What it says.
    pub value: String,
    /// It is good for so long; nothing when nobody says.
    pub lease: Option<Duration>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}

/// A server. Clones share the login.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    token: Mutex<Option<Token>>,
}

/// One secret of a server.
#[derive(Debug)]
pub struct Secret {
    vault: Vault,
    wanted: Wanted,
    held: Mutex<Option<Held>>,
}

impl Vault {
    /// Asks nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            token: Mutex::new(None),
        }))
    }

    /// One secret.
    pub fn secret(&self, wanted: Wanted) -> Secret {
        Secret {
            vault: self.clone(),
            wanted,
            held: Mutex::new(None),
        }
    }

    /// Asks for a path below `/v1/`. Without a token it asks as anybody.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        token: Option<&str>,
        within: Duration,
    ) -> Result<Document, Failure> {
        let settings = &self.0.settings;
        let mut url = settings.address.expose().clone();
        url.set_path(&format!("/v1/{path}"));
        let place = url.as_str().parse::<Dsn>();
        let place = place.map_err(|_| Failure::Unfit("its address is no URL with a host"))?;
        let client = Client::new(&place, settings.ca.clone(), MOST);
        let mut fields = HeaderMap::new();
        fields.insert(REQUEST, HeaderValue::from_static("true"));
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(token)
                .map_err(|_| Failure::Unfit("the token has a character that no token has"))?;
            value.set_sensitive(true);
            fields.insert(TOKEN, value);
        }
        if let Some(namespace) = &settings.namespace {
            let value = HeaderValue::try_from(namespace)
                .map_err(|_| Failure::Unfit("the namespace has a character that none has"))?;
            fields.insert(NAMESPACE, value);
        }
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let answer = client.send(method, fields, body, within).await;
        let answer = answer.map_err(|failure| Failure::Silent(client.shown(), failure))?;
        read(&client.shown(), path, &answer)
    }
}

impl Secret {
    /// Reads it, or renews the lease of what was read before.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn read(&self, within: Duration) -> Result<Found, Failure> {
        let mut held = self.held.lock().await;
        let mut token = self.vault.token(within).await?;
        if let Some(held) = &mut *held
            && let Some(lease) = held.renew(&self.vault, &token, within).await?
        {
            return Ok(self.found(held.value.clone(), Some(lease), &token));
        }
        *held = None;
        let path = self.path();
        let get = |token: String| {
            let (vault, path) = (&self.vault, &path);
            async move {
                vault
                    .ask(Method::GET, path, None, Some(&token), within)
                    .await
            }
        };
        let mut answer = get(token.value.clone()).await;
        if matches!(answer, Err(Failure::Refused(_, 403, _))) && self.vault.can_log_in_again() {
            // It may have been taken away before its time.
            self.vault.forget(&token.value).await;
            token = self.vault.token(within).await?;
            answer = get(token.value.clone()).await;
        }
        let document = answer?;
        let data = match self.wanted.versions {
            true => document.data.get("data"),
            false => Some(&document.data),
        };
        let value = data.and_then(|data| text(data.get(&self.wanted.field)?));
        let value = value.ok_or_else(|| Failure::NoField(path, self.wanted.field.clone()))?;
        let lease = document.lease.filter(|_| !self.wanted.versions);
        if let (Some(id), Some(lease), true) = (document.lease_id, lease, document.renewable) {
            *held = Some(Held {
                id,
                value: value.clone(),
                ends: Instant::now().checked_add(lease),
            });
        }
        Ok(self.found(value, lease, &token))
    }

    /// The next look comes before the token ends, so that it is renewed in time.
    fn found(&self, value: String, lease: Option<Duration>, token: &Token) -> Found {
        let left = token
            .ends
            .map(|ends| ends.saturating_duration_since(Instant::now()));
        let lease = match (lease, left) {
            (Some(lease), Some(left)) => Some(lease.min(left)),
            (one, other) => one.or(other),
        };
        Found { value, lease }
    }

    fn path(&self) -> String {
        let Wanted { mount, path, .. } = &self.wanted;
        let (mount, path) = (mount.trim_matches('/'), path.trim_matches('/'));
        let data = if self.wanted.versions { "data/" } else { "" };
        format!("{mount}/{data}{path}")
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
