//! Where outbound calls go.

use std::net::IpAddr;
use std::str::FromStr;

use http::uri::{Authority, Scheme, Uri};
use seaworthy_core::metadata;

/// A service that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Whether it is called over TLS.
    pub secure: bool,
    /// What `Host` says.
    pub authority: Authority,
}

/// A target that cannot be used; says how to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTarget(&'static str);

impl Target {
    /// The name or address, without the brackets of IPv6.
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        let usual = if self.secure { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(usual)
    }

    /// Whether it is this machine itself.
    pub fn is_local(&self) -> bool {
        match self.host().parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host().eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let uri: Uri = text
            .parse()
            .map_err(|_| InvalidTarget("it is no URL; write `https://api.example.com`"))?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(InvalidTarget("it begins with `http://` or `https://`")),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(InvalidTarget(
                "it ends after the host and the port: the app says which path it wants",
            ));
        }
        let authority = uri.into_parts().authority;
        let authority = authority.ok_or(InvalidTarget("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(InvalidTarget(
                "it holds a name or a password: let the app send its credentials",
            ));
        }
        // A port beyond 65535 would otherwise be taken for none.
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(InvalidTarget("its port is none; write one up to 65535"));
        }
        let target = Self { secure, authority };
        if metadata::is_host(target.host()) {
            return Err(InvalidTarget(
                "link-local addresses and those of a cloud's metadata hold credentials, and are not called for anybody",
            ));
        }
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_scheme_a_host_and_a_port() {
        let target: Target = "https://api.example.com".parse().expect("a target");
        assert_eq!((target.host(), target.port()), ("api.example.com", 443));
        let target: Target = "http://[::1]:8080/".parse().expect("a target");
        assert_eq!(
            (target.host(), target.port(), target.secure),
            ("::1", 8080, false)
        );
        assert!(target.is_local());
        for wrong in [
            "",
            "api.example.com",
            "ftp://a",
            "file:///etc/passwd",
            "gopher://a",
            "http://a/path",
            "http://a?b",
            "http://user:password@a",
            "http://a:99999",
            "http://169.254.169.254",
            "http://[fe80::1]",
            "http://[::ffff:169.254.169.254]",
            "http://[fd00:ec2::254]",
            "http://Metadata.Google.Internal",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
