//! Where the app listens: a socket address or a path.
//!
//! Both halves of the product need the same word for it: the supervisor invents one per start and waits until something
//! accepts there, the proxy connects to it. Host names other than `localhost` are refused, because resolving them is I/O and
//! because the address must be the same for everybody who reads it.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where the app listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an address: {why}. Write `127.0.0.1:8001`, `localhost:8001` or `unix:/run/app.sock`"
)]
pub struct NotAnAddress {
    text: String,
    why: &'static str,
}

impl Address {
    /// The port, when it is a TCP address.
    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Tcp(addr) => Some(addr.port()),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(addr) => write!(f, "{addr}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let refuse = |why| NotAnAddress {
            text: text.to_owned(),
            why,
        };
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///run/app.sock` is how others write it.
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(refuse("the path of a unix socket must be absolute"));
            }
            return Ok(Address::Unix(PathBuf::from(path)));
        }
        if text.starts_with("https://") {
            return Err(refuse("the app is spoken to in plain HTTP"));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(refuse("a path has no meaning here"));
        }
        tcp(rest, text.starts_with("http://")).map_err(refuse)
    }
}

/// Reads `host:port`; a URL may leave the port out.
fn tcp(text: &str, url: bool) -> Result<Address, &'static str> {
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return match addr.port() {
            0 => Err("port 0 cannot be connected to"),
            _ => Ok(Address::Tcp(addr)),
        };
    }
    if url && let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(Address::Tcp(SocketAddr::new(ip, 80)));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None if url => (text, "80"),
        None => return Err("the port is missing"),
    };
    let port = port
        .parse::<u16>()
        .ok()
        .filter(|port| *port != 0)
        .ok_or("the port must be a number from 1 to 65535")?;
    if !host.eq_ignore_ascii_case("localhost") {
        return Err("the host must be an IP address or localhost");
    }
    Ok(Address::Tcp(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        port,
    )))
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Where the app listens: `127.0.0.1:8001`, `localhost:8001`, `http://…` or `unix:/path`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_accepted_spelling() {
        for (text, shown) in [
            ("127.0.0.1:8001", "127.0.0.1:8001"),
            ("localhost:8001", "127.0.0.1:8001"),
            ("LOCALHOST:1", "127.0.0.1:1"),
            ("[::1]:8001", "[::1]:8001"),
            ("http://127.0.0.1:8001", "127.0.0.1:8001"),
            ("http://127.0.0.1:8001/", "127.0.0.1:8001"),
            ("http://localhost", "127.0.0.1:80"),
            ("http://10.0.0.7", "10.0.0.7:80"),
            ("http://[::1]", "[::1]:80"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Address>().unwrap(), address, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_text() {
        for (text, why) in [
            ("", "the port is missing"),
            ("8001", "the port is missing"),
            ("localhost", "the port is missing"),
            ("localhost:0", "1 to 65535"),
            ("127.0.0.1:0", "port 0"),
            ("localhost:99999", "1 to 65535"),
            ("db.internal:80", "IP address or localhost"),
            ("https://localhost:1", "plain HTTP"),
            ("http://localhost:1/api", "path"),
            ("unix:app.sock", "absolute"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
            assert!(error.contains("Write `127.0.0.1:8001`"), "{text}: {error}");
        }
    }
}
