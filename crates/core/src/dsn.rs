//! A URL that says where something is and how to get in, such as `postgres://user:password@db/shop`.
//!
//! It may hold a password, so it is never shown whole. And whoever writes it decides where Seaworthy connects to, again and
//! again, from inside the network: what can only be an attack is refused where it is written (see [`Dsn::forbidden`]).

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::{Host, Url};

use crate::metadata;

/// The scheme of a URL that goes nowhere.
const NOWHERE: &str = "nowhere";

/// See the [module documentation](self).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Dsn(Url);

/// A text that is no URL with a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL with a host: {why}. Write it as `scheme://user:password@host:port/name`")]
pub struct NotADsn {
    why: String,
}

impl Dsn {
    /// Whether nobody has said yet where it goes.
    pub fn is_nowhere(&self) -> bool {
        self.scheme() == NOWHERE
    }

    /// The scheme, in lower case.
    pub fn scheme(&self) -> &str {
        self.0.scheme()
    }

    /// The host, an IPv6 address without brackets.
    pub fn host(&self) -> String {
        match self.0.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => String::new(),
        }
    }

    /// The port, or `default`.
    pub fn port_or(&self, default: u16) -> u16 {
        self.0.port_or_known_default().unwrap_or(default)
    }

    /// The user, decoded.
    pub fn user(&self) -> Option<String> {
        let user = decoded(self.0.username());
        (!user.is_empty()).then_some(user)
    }

    /// The password, decoded.
    pub fn password(&self) -> Option<String> {
        self.0.password().map(decoded)
    }

    /// The path without its leading slash, decoded: the name of a database, a virtual host.
    pub fn name(&self) -> String {
        decoded(self.0.path().trim_start_matches('/'))
    }

    /// The value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.0
            .query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The URL with its password, for the driver that connects.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// The address, when the host is one, in whichever of the spellings that resolvers take (`0x7f.1`, `2130706433`).
    fn ip(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip).to_canonical()),
            Host::Domain(name) if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") => {
                Some(IpAddr::from([127, 0, 0, 1]))
            }
            // Only the schemes of the web have their addresses read by the parser.
            Host::Domain(name) => match Url::parse(&format!("http://{}/", decoded(name)))
                .ok()?
                .host()?
            {
                Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
                _ => None,
            },
        }
    }

    /// Why nobody may connect there, if so: link-local addresses hold the secrets of clouds (169.254.169.254), and `own` addresses are
    /// our own administration.
    pub fn forbidden(&self, own: &[SocketAddr]) -> Option<&'static str> {
        let host = self.0.host_str().unwrap_or_default();
        let ip = self.ip();
        if ip.is_some_and(metadata::is_address) {
            return Some(
                "link-local addresses belong to the machine, the metadata service of a cloud among them",
            );
        }
        if metadata::is_host(host) {
            return Some("the metadata service of a cloud holds secrets");
        }
        let ip = ip?;
        let port = self.port_or(0);
        let is_own = own.iter().any(|own| {
            let same = own.ip() == ip
                || (own.ip().is_unspecified() || own.ip().is_loopback()) && ip.is_loopback();
            own.port() == port && same
        });
        is_own.then_some("that is where Seaworthy is administered")
    }
}

/// A URL that goes nowhere: something else has to say where to.
impl Default for Dsn {
    fn default() -> Self {
        let url = Url::parse("nowhere://nowhere");
        Self(url.expect("it is a URL"))
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

impl FromStr for Dsn {
    type Err = NotADsn;

    fn from_str(text: &str) -> Result<Self, NotADsn> {
        let url = Url::parse(text.trim()).map_err(|error| NotADsn {
            why: error.to_string(),
        })?;
        if url.host_str().is_none_or(str::is_empty) {
            let why = "there is no host".to_owned();
            return Err(NotADsn { why });
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Dsn {
    /// The URL with its password masked, and without its query, which may hold another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_query(None);
        if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
            return f.write_str("***");
        }
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

impl Serialize for Dsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Dsn {
    fn schema_name() -> Cow<'static, str> {
        "Dsn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "URL with a host",
            "format": "uri",
            // It may hold a secret, whole or in part, and is checked before that is known.
            "x-secret": true,
            "x-placeholder": "unresolved://unresolved",
            "examples": ["postgres://shop:secret@db:5432/shop", "redis://cache:6379/0"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dsn(text: &str) -> Dsn {
        text.parse().expect("a URL")
    }

    #[test]
    fn its_parts_are_decoded() {
        let dsn = dsn("postgres://sh%40p:p%2Fw@[::1]:5433/my%20db?sslmode=require");
        assert_eq!(dsn.user().as_deref(), Some("sh@p"));
        assert_eq!(dsn.password().as_deref(), Some("p/w"));
        assert_eq!((dsn.host().as_str(), dsn.port_or(5432)), ("::1", 5433));
        assert_eq!(dsn.name(), "my db");
        assert_eq!(dsn.parameter("sslmode").as_deref(), Some("require"));
    }

    #[test]
    fn a_password_is_never_shown() {
        let dsn = dsn("redis://u:hunter2@cache:6379/0?password=hunter2");
        for shown in [dsn.to_string(), format!("{dsn:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_url_with_a_host_is_refused() {
        for bad in [
            "",
            "db",
            "file:///etc/passwd",
            "postgres:///shop",
            "http://",
            "redis:6379",
        ] {
            assert!(bad.parse::<Dsn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_is_sent_to_metadata_or_to_our_own_administration() {
        let own = ["127.0.0.1:9900".parse().expect("an address")];
        for bad in [
            "http://169.254.169.254/latest",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[::ffff:169.254.169.254]/",
            "http://metadata.google.internal/",
            "http://127.0.0.1:9900/",
            "http://localhost:9900/-/stop",
            "http://127.0.0.2:9900/",
            "tcp://169.254.169.254:80",
            "redis://0xa9fea9fe:6379",
            "redis://2852039166:6379",
            "postgres://LOCALHOST:9900/x",
            "postgres://169.254.169.254/",
            "tcp://0xA9FEA9FE:80",
            "amqp://2852039166/",
            "amqp://METADATA.google.internal/",
            "redis://127.1:9900/",
            "redis://169.254.169.254:80",
            "redis://2852039166:80",
            "redis://0xA9FEA9FE:80",
            "postgres://[::ffff:169.254.169.254]/shop",
            "postgres://127.0.0.1:9900/shop",
            "amqp://LOCALHOST.:9900",
            "tcp://Metadata.Google.Internal:80",
        ] {
            assert!(dsn(bad).forbidden(&own).is_some(), "{bad}");
        }
        for good in [
            "http://127.0.0.1:8000/",
            "http://10.0.0.1/",
            "http://db/",
            "redis://10.0.0.1",
            "redis://127.0.0.1:6379",
            "postgres://db_1.shop:5432/x",
        ] {
            assert_eq!(dsn(good).forbidden(&own), None, "{good}");
        }
    }
}
