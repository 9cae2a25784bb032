//! The section `listen`: where Seaworthy listens, and whom it believes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::address::Address;
use seaworthy_core::identity::TrustedProxies;
use seaworthy_health::probe::Variables;
use serde::{Deserialize, Serialize};

use super::text::text_setting;

/// Where Seaworthy listens, and whom it believes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// The public address: `0.0.0.0:8000`, `[::]:8000`, `localhost:8000` or just `8000` for all interfaces. Default: the
    /// address that the command names, else the port in `PORT` or another variable of `app.port_env`, else `0.0.0.0:8000`.
    pub public: Option<Bind>,
    /// Variables that hold the public host, an IP address or `localhost`, where neither `public` nor the command names one;
    /// the first one that is set counts. Default: none.
    pub host_env: Vec<String>,
    /// The address of probes in detail, metrics and the admin API: a loopback address, `unix:/path` or `off`. Default
    /// `127.0.0.1:9900`; when that is taken and was not set, another port is found.
    pub admin: Admin,
    /// Serves the public address with TLS. Default: none.
    pub tls: Option<Tls>,
    /// Peers whose forwarding headers (`X-Forwarded-For` and the like) are believed: networks such as `10.0.0.0/8`, or the
    /// words `loopback` and `private`. Default: nobody.
    pub trusted_proxies: Vec<String>,
    /// Whether HTTP/2 is offered. Default `true`.
    pub http2: bool,
}

/// A certificate and its key. Both files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, a PEM file.
    pub cert: PathBuf,
    /// The private key, a PEM file.
    pub key: PathBuf,
}

impl Admin {
    /// The port that it takes, which no check may go to.
    #[must_use]
    pub fn own(&self) -> Option<SocketAddr> {
        match self {
            Self::At(Address::Tcp(address)) => Some(*address),
            _ => None,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            public: None,
            host_env: Vec::new(),
            admin: Admin::default(),
            tls: None,
            trusted_proxies: Vec::new(),
            http2: true,
        }
    }
}

impl Listen {
    /// The host that variables hold, if one does.
    ///
    /// # Errors
    /// One that is none: to listen on all interfaces instead would be more than was asked for.
    pub fn host(&self, variables: &Variables) -> Result<Option<IpAddr>, BadBind> {
        let mut set = self.host_env.iter().filter_map(|name| variables.get(name));
        match set.next().map(str::trim) {
            None => Ok(None),
            Some("localhost") => Ok(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            Some(host) => host.parse().map(Some).map_err(|_| BadBind(host.to_owned())),
        }
    }
}

/// The public port when nothing says otherwise.
pub const USUAL_PORT: u16 = 8000;

/// An internet address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bind(pub SocketAddr);

/// A text that is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address to listen on: write `0.0.0.0:8000`, `127.0.0.1:8000`, `[::]:8000` or `8000`"
)]
pub struct BadBind(String);

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Bind {
    type Err = BadBind;

    fn from_str(text: &str) -> Result<Self, BadBind> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = port.parse().map_err(|_| BadBind(text.to_owned()))?;
        let ip = match host {
            "" | "*" => Ipv4Addr::UNSPECIFIED,
            "localhost" => Ipv4Addr::LOCALHOST,
            _ => return Err(BadBind(text.to_owned())),
        };
        Ok(Self(SocketAddr::new(IpAddr::V4(ip), port)))
    }
}

text_setting!(Bind, "Bind", "address to listen on", "0.0.0.0:8000", "8000");

/// Where the admin listener is, if anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admin {
    /// There is none.
    Off,
    /// An address of this machine.
    At(Address),
}

impl Default for Admin {
    fn default() -> Self {
        Self::At(Address::Tcp(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            9900,
        )))
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// A text that is no place for the admin listener.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no place for the admin listener: write `127.0.0.1:9900`, `unix:/run/seaworthy/admin.sock` or `off`"
)]
pub struct BadAdmin(String);

impl FromStr for Admin {
    type Err = BadAdmin;

    fn from_str(text: &str) -> Result<Self, BadAdmin> {
        if text == "off" {
            return Ok(Self::Off);
        }
        if let Ok(Bind(address)) = text.parse() {
            // A port alone means this machine here: that of all interfaces would be refused anyway.
            let alone = text.parse::<u16>().is_ok() || text.starts_with(':');
            let ip = if alone {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            } else {
                address.ip()
            };
            return Ok(Self::At(Address::Tcp(SocketAddr::new(ip, address.port()))));
        }
        match text.parse() {
            Ok(address @ Address::Unix(_)) => Ok(Self::At(address)),
            _ => Err(BadAdmin(text.to_owned())),
        }
    }
}

text_setting!(
    Admin,
    "Admin",
    "address on this machine, `unix:/path` or `off`",
    "127.0.0.1:9900",
    "off"
);

pub(super) fn validate(listen: &Listen, findings: &mut Findings) {
    if let Admin::At(Address::Tcp(admin)) = &listen.admin {
        if !admin.ip().is_loopback() {
            findings
                .error("listen.admin", format!("the admin listener may not be reached from outside, and {admin} can be"))
                .help("write a loopback address such as `127.0.0.1:9900`, `unix:/path/to.sock` or `off`");
        }
        let clashes = listen.public.is_some_and(|Bind(public)| {
            public.port() == admin.port()
                && public.port() != 0
                && (public.ip() == admin.ip() || public.ip().is_unspecified())
        });
        if clashes {
            findings
                .error(
                    "listen.admin",
                    format!("the public listener takes port {} already", admin.port()),
                )
                .related("listen.public")
                .help("give one of the two another port");
        }
    }
    for (index, entry) in listen.trusted_proxies.iter().enumerate() {
        if let Err(error) = TrustedProxies::try_new([entry]) {
            findings.error(
                format!("listen.trusted_proxies[{index}]"),
                error.to_string(),
            );
        }
    }
}
