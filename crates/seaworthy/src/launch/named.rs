//! The address that a command itself names; Seaworthy listens there in the server's place.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Refusal;
use super::call::Call;

/// What a command says about where to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The words that say it, as given.
    pub(super) words: Vec<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
}

impl Named {
    /// Reads a host and a port from an option each, or else from the server's own variables.
    pub(super) fn read(
        call: &Call<'_>,
        host: (&'static [&'static str], &str),
        port: (&'static [&'static str], &str),
    ) -> Result<Self, Refusal> {
        let mut named = Self::default();
        if let Some((value, words)) = call.told(host.0, host.1) {
            named.words.push(words);
            named.host = Some(value);
        }
        if let Some((value, words)) = call.told(port.0, port.1) {
            named.port = Some(self::port(call.server, &value, &words)?);
            named.words.push(words);
        }
        Ok(named)
    }

    /// Reads `HOST:PORT`, `HOST`, `:PORT` or `[V6]:PORT`; nothing for unix sockets and descriptors.
    pub(super) fn read_bind(
        &mut self,
        server: &'static str,
        text: &str,
        words: &str,
        default_port: u16,
    ) -> Result<(), Refusal> {
        self.words.push(words.to_owned());
        let bind = text.strip_prefix("tcp://").unwrap_or(text);
        if self.port.is_some() || bind.starts_with("unix:") || bind.starts_with("fd://") {
            return Ok(());
        }
        let (host, port) = match bind.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (bind, None),
        };
        self.host = Some(
            host.trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
        );
        self.port = Some(port.map_or(Ok(default_port), |port| self::port(server, port, words))?);
        Ok(())
    }

    /// The address to listen on. A port alone means every interface, as it does without any word; `None` when nothing is
    /// named or the host is a name that only a resolver knows.
    pub(super) fn public(&self, default_port: u16) -> Option<SocketAddr> {
        if self.host.is_none() && self.port.is_none() {
            return None;
        }
        let ip = match self.host.as_deref() {
            None | Some("" | "*") => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(host) => host.parse().ok()?,
        };
        Some(SocketAddr::new(ip, self.port.unwrap_or(default_port)))
    }
}

/// Reads a port number, or says what is wrong with it.
pub(super) fn port(server: &'static str, value: &str, words: &str) -> Result<u16, Refusal> {
    value.parse().map_err(|_| Refusal::BadPort {
        server,
        words: words.to_owned(),
        dollar: value.contains('$'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_read_in_every_form() {
        let cases = [
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            (":80", Some("0.0.0.0:80")),
            ("127.0.0.1", Some("127.0.0.1:8000")),
            ("localhost:9000", Some("127.0.0.1:9000")),
            ("[::]:80", Some("[::]:80")),
            ("::1", Some("[::1]:8000")),
            ("tcp://10.0.0.1:7", Some("10.0.0.1:7")),
            ("unix:/run/a.sock", None),
            ("fd://3", None),
            ("myhost:80", None),
        ];
        for (text, expected) in cases {
            let mut named = Named::default();
            named.read_bind("gunicorn", text, text, 8000).unwrap();
            assert_eq!(
                named.public(8000),
                expected.map(|address| address.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_port_that_is_none_is_refused_with_a_way_out() {
        let refused =
            Named::default().read_bind("gunicorn", "0.0.0.0:$PORT", "--bind 0.0.0.0:$PORT", 8000);
        assert!(refused.unwrap_err().to_string().contains("no shell"));
    }
}
