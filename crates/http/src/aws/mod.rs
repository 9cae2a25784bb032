//! Reads secrets of AWS Secrets Manager.
//!
//! One question of one service, so it is signed here (Signature Version 4) and not with AWS's own crates, which bring a hundred
//! others. Credentials are those that are written down, those of the environment, or those that a container is given
//! (ECS tasks, EKS Pod Identity), which are asked for again before they end. Web identities and the metadata of machines are not
//! looked at: for them the command `aws secretsmanager get-secret-value` does it.

mod credentials;
mod sign;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use seaworthy_core::dsn::Dsn;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::outbound::{self, Client};
use credentials::Kept;

pub use credentials::{Credentials, Source};

/// The most of an answer that is read: secrets have 64 KiB at most.
const MOST: usize = 1 << 20;
const SERVICE: &str = "secretsmanager";
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const GET: HeaderValue = HeaderValue::from_static("secretsmanager.GetSecretValue");

/// Why a secret cannot be read, in words that hold none.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no answer.
    #[error("{0}: {1}")]
    Silent(String, outbound::Failure),
    /// The answer is no.
    #[error("{server} answers {status}{kind}")]
    Refused {
        /// Who.
        server: String,
        /// The status.
        status: u16,
        /// What AWS calls it.
        kind: String,
    },
    /// The answer is something else.
    #[error("{0} does not answer as Secrets Manager does: {1}")]
    Strange(String, &'static str),
    /// It is there, and not what was asked for.
    #[error("the secret has no field `{0}` with a text in it")]
    NoField(String),
    /// Nobody to sign as.
    #[error("there are no credentials: {0}")]
    NoCredentials(String),
    /// Something cannot be sent.
    #[error("{0}")]
    Unfit(&'static str),
}

/// Where the service is and who asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The region.
    pub region: String,
    /// Its address; that of the region unless set.
    pub endpoint: Option<Dsn>,
    /// The certificates that are trusted instead of those of the system.
    pub ca: Option<PathBuf>,
    /// Who asks.
    pub source: Source,
}

/// Which secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name or ARN.
    pub id: String,
    /// The field of the JSON object that it is; the whole of it unless set.
    pub field: Option<String>,
}

/// Secrets Manager of one region. Clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    client: Client,
    authority: String,
    kept: Mutex<Kept>,
}

impl Store {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// The region is none.
    pub fn try_new(settings: Settings) -> Result<Self, Failure> {
        let region = &settings.region;
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || !region.bytes().all(fits) {
            return Err(Failure::Unfit(
                "the region is not the name of one, such as `eu-west-1`",
            ));
        }
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let usual = format!("https://{SERVICE}.{region}.amazonaws.com{suffix}/");
        let endpoint = match &settings.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => usual
                .parse()
                .map_err(|_| Failure::Unfit("the region has no address"))?,
        };
        let client = Client::new(&endpoint, settings.ca.clone(), MOST);
        let whole = endpoint.expose();
        let host = whole.host_str().unwrap_or_default();
        let authority = match whole.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self(Arc::new(Inner {
            settings,
            client,
            authority,
            kept: Mutex::default(),
        })))
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn read(&self, wanted: &Wanted, within: Duration) -> Result<String, Failure> {
        let credentials = {
            let mut kept = self.0.kept.lock().await;
            kept.get(&self.0.settings.source, within).await?
        };
        let body = json!({"SecretId": wanted.id}).to_string();
        let fields = self.signed(&body, &credentials)?;
        let Inner { client, .. } = &*self.0;
        let answer = client
            .send(Method::POST, fields, Bytes::from(body), within)
            .await;
        let answer = answer.map_err(|failure| Failure::Silent(client.shown(), failure))?;
        let document = serde_json::from_slice::<Value>(&answer.body);
        if answer.status != 200 {
            return Err(Failure::Refused {
                server: client.shown(),
                status: answer.status,
                kind: document.ok().and_then(|one| kind(&one)).unwrap_or_default(),
            });
        }
        let strange = |why| Failure::Strange(client.shown(), why);
        let document = document.map_err(|_| strange("it is no JSON"))?;
        field(
            text(&document).ok_or_else(|| strange("there is no secret in it"))?,
            wanted,
        )
    }

    /// The fields of a question that bears `body`.
    fn signed(&self, body: &str, credentials: &Credentials) -> Result<HeaderMap, Failure> {
        let mut fields = HeaderMap::new();
        let host = HeaderValue::try_from(&self.0.authority);
        fields.insert(
            header::HOST,
            host.map_err(|_| Failure::Unfit("the endpoint is no address"))?,
        );
        fields.insert(header::CONTENT_TYPE, JSON);
        fields.insert(TARGET, GET);
        let scope = sign::Scope {
            region: &self.0.settings.region,
            service: SERVICE,
            now: jiff::Timestamp::now(),
        };
        let path = self
            .0
            .settings
            .endpoint
            .as_ref()
            .map_or("/", |one| one.expose().path());
        sign::sign(
            "POST",
            path,
            &mut fields,
            body.as_bytes(),
            credentials,
            &scope,
        )
        .ok_or(Failure::Unfit(
            "the credentials have a character that none have",
        ))?;
        Ok(fields)
    }
}

/// What AWS calls an error; only names that look like one are repeated.
fn kind(document: &Value) -> Option<String> {
    let kind = document
        .get("__type")
        .or_else(|| document.get("Code"))?
        .as_str()?;
    let name = kind.rsplit('#').next()?;
    let fits = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| format!(" ({name})"))
}

fn text(document: &Value) -> Option<String> {
    if let Some(text) = document.get("SecretString").and_then(Value::as_str) {
        return Some(text.to_owned());
    }
    let encoded = document.get("SecretBinary")?.as_str()?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    String::from_utf8(bytes).ok()
}

fn field(text: String, wanted: &Wanted) -> Result<String, Failure> {
    let Some(name) = &wanted.field else {
        return Ok(text);
    };
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    match document.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(Failure::NoField(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_text_bytes_or_a_field_of_an_object() {
        let said = text(&json!({"SecretString": "{\"a\":\"x\",\"b\":5,\"c\":{}}"})).unwrap();
        let get = |name: Option<&str>| {
            let wanted = Wanted {
                id: "x".to_owned(),
                field: name.map(str::to_owned),
            };
            field(said.clone(), &wanted).ok()
        };
        assert_eq!(get(Some("a")).as_deref(), Some("x"));
        assert_eq!(get(Some("b")).as_deref(), Some("5"));
        assert_eq!((get(Some("c")), get(Some("d"))), (None, None));
        assert_eq!(get(None), Some(said.clone()));
        assert_eq!(
            text(&json!({"SecretBinary": "aHVudGVyMg=="})).as_deref(),
            Some("hunter2")
        );
        assert_eq!(text(&json!({"SecretBinary": "?"})), None);
    }

    #[test]
    fn an_error_is_named_and_not_quoted() {
        assert_eq!(
            kind(
                &json!({"__type": "com.amazonaws#ResourceNotFoundException", "message": "hunter2"})
            )
            .as_deref(),
            Some(" (ResourceNotFoundException)")
        );
        assert_eq!(kind(&json!({"__type": "hunter2 is the secret"})), None);
    }

    #[test]
    fn a_region_is_the_name_of_one() {
        let settings = |region: &str| Settings {
            region: region.to_owned(),
            endpoint: None,
            ca: None,
            source: Source::Container {
                url: String::new(),
                token: None,
            },
        };
        assert!(Store::try_new(settings("evil.example/")).is_err());
        let store = Store::try_new(settings("eu-west-1")).unwrap();
        assert_eq!(store.0.authority, "secretsmanager.eu-west-1.amazonaws.com");
    }
}
