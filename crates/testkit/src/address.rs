//! Where a peer listens: a TCP address or a unix socket.
//!
//! Not the product's own type, because the kit must not share the code that it tests.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::Context as _;

/// Where a peer listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Reads `IP:PORT` or `unix:PATH`.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn parse(text: &str) -> crate::Result<Self> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(path.into())),
            None => Ok(Self::Tcp(
                text.parse()
                    .with_context(|| format!("`{text}` is no IP:PORT"))?,
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

/// A loopback address whose port was free a moment ago.
///
/// For programs that cannot report the port they chose. Another process may take it in between, so prefer port 0.
///
/// # Errors
/// When the system has no free port.
pub fn free() -> crate::Result<SocketAddr> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listener = TcpListener::bind((loopback, 0)).context("no free loopback port")?;
    Ok(listener.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints() {
        for text in ["127.0.0.1:80", "[::1]:8000", "unix:/run/app.sock"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        assert!(Address::parse("localhost").is_err());
    }
}
