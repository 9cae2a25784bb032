//! What is asked: the parts of a URL, as `--header` and the URL itself give them.

use std::fmt;
use std::str::FromStr;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderName, HeaderValue};

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// Whether by TLS.
    pub(super) secure: bool,
    pub(super) authority: Authority,
    pub(super) path: PathAndQuery,
}

impl Aim {
    /// The name or address, without the brackets of IPv6.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.host();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        let usual = if self.secure { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl FromStr for Aim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: Uri = whole
            .parse()
            .map_err(|error| format!("{error}; write a URL such as http://127.0.0.1:8000/echo"))?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err("only http:// and https:// can be asked".to_owned()),
        };
        let parts = uri.into_parts();
        let authority = parts.authority.filter(|all| !all.host().is_empty());
        let authority = authority.ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err(
                "credentials do not belong in a URL; write --header 'Authorization: ...'"
                    .to_owned(),
            );
        }
        // A port beyond 65535 would otherwise be taken for none.
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err("its port is none; write a URL such as http://127.0.0.1:8000/".to_owned());
        }
        let path = parts.path_and_query;
        Ok(Self {
            secure,
            authority,
            path: path.unwrap_or(PathAndQuery::from_static("/")),
        })
    }
}

/// A field of each request, written `Name: value`.
pub(super) fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("write NAME:VALUE, as in X-API-Key:abc")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("`{name}` is not the name of a field"))?;
    let value = HeaderValue::from_str(value.trim())
        .map_err(|_| "the value has a character that no field can have")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_needs_no_scheme_and_says_what_is_wrong() {
        let aim: Aim = "127.0.0.1:8000/echo?a=b".parse().expect("a URL");
        assert_eq!(aim.to_string(), "http://127.0.0.1:8000/echo?a=b");
        let aim: Aim = "https://[::1]".parse().expect("a URL");
        assert_eq!(
            (aim.host(), aim.port(), aim.path.as_str()),
            ("::1", 443, "/")
        );
        for (text, says) in [
            ("", "URL"),
            ("http://", "URL"),
            ("ftp://a/b", "http://"),
            ("http://u:p@a", "--header"),
            ("http://a b", "URL"),
            ("http://a:99999/", "URL"),
        ] {
            let said = text.parse::<Aim>().expect_err(text);
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn a_field_has_a_name_and_a_value() {
        let (name, value) = field("X-API-Key: a:b").expect("a field");
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("x-api-key", &b"a:b"[..])
        );
        for wrong in ["X-API-Key", "a b: c", ": c", "a: x\r\nb: c"] {
            assert!(field(wrong).is_err(), "{wrong}");
        }
    }
}
