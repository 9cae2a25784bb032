//! Who asks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use jiff::{SignedDuration, Timestamp};
use seaworthy_core::dsn::Dsn;
use serde_json::Value;

use super::Failure;
use crate::outbound::{Client, token};

/// The most of an answer that is read.
const MOST: usize = 64 << 10;
/// Credentials are asked for again so long before they end.
const BEFORE: SignedDuration = SignedDuration::from_secs(300);

/// What signs.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public part.
    pub id: String,
    /// The secret part.
    pub secret: String,
    /// What belongs to credentials that end.
    pub token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// They are known.
    Known(Credentials),
    /// A container is given them at this address.
    Container {
        /// The address.
        url: String,
        /// The file with what has to be shown there, where there is one.
        token: Option<PathBuf>,
    },
}

/// Credentials that are used until they end.
#[derive(Debug, Default)]
pub(super) struct Kept(Option<(Credentials, Timestamp)>);

impl Kept {
    pub(super) async fn get(
        &mut self,
        source: &Source,
        within: Duration,
    ) -> Result<Credentials, Failure> {
        let (url, token) = match source {
            Source::Known(known) => return Ok(known.clone()),
            Source::Container { url, token } => (url, token),
        };
        if let Some((known, ends)) = &self.0
            && *ends - BEFORE > Timestamp::now()
        {
            return Ok(known.clone());
        }
        let given = ask(url, token.as_deref(), within).await?;
        let known = given.0.clone();
        self.0 = Some(given);
        Ok(known)
    }
}

async fn ask(
    url: &str,
    shown: Option<&Path>,
    within: Duration,
) -> Result<(Credentials, Timestamp), Failure> {
    let none = |why: String| Failure::NoCredentials(why);
    let place: Dsn = url
        .parse()
        .map_err(|_| none("the address that the container is given is no URL".to_owned()))?;
    let mut fields = HeaderMap::new();
    if let Some(path) = shown {
        let text = token::read(path).await;
        let text =
            text.map_err(|error| none(format!("{} cannot be read: {error}", path.display())))?;
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| none("the token of the container is none".to_owned()))?;
        value.set_sensitive(true);
        fields.insert(header::AUTHORIZATION, value);
    }
    let client = Client::new(&place, None, MOST);
    let answer = client.send(Method::GET, fields, Bytes::new(), within).await;
    let answer = answer.map_err(|failure| none(format!("{}: {failure}", client.shown())))?;
    if answer.status != 200 {
        return Err(none(format!(
            "{} answers {}",
            client.shown(),
            answer.status
        )));
    }
    read(&answer.body).ok_or_else(|| none(format!("{} gives none", client.shown())))
}

fn read(body: &[u8]) -> Option<(Credentials, Timestamp)> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| Some(document.get(name)?.as_str()?.to_owned());
    let ends = text("Expiration").and_then(|ends| ends.parse().ok());
    let credentials = Credentials {
        id: text("AccessKeyId")?,
        secret: text("SecretAccessKey")?,
        token: text("Token"),
    };
    // Without an end they are asked for each time.
    Some((credentials, ends.unwrap_or(Timestamp::UNIX_EPOCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_is_given_is_read() {
        let body = br#"{"AccessKeyId":"a","SecretAccessKey":"b","Token":"c","Expiration":"2030-01-01T00:00:00Z"}"#;
        let (credentials, ends) = read(body).unwrap();
        assert_eq!(
            (credentials.id.as_str(), credentials.token.as_deref()),
            ("a", Some("c"))
        );
        assert_eq!(ends, "2030-01-01T00:00:00Z".parse().unwrap());
        assert!(read(b"hunter2").is_none() && read(b"{}").is_none());
    }
}
