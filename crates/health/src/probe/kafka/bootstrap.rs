//! The brokers that tell about the others.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use seaworthy_core::dsn::Dsn;

use super::connection::{Access, Connection, Login};
use crate::probe::kept::Place;
use crate::probe::tls::Trust;
use crate::probe::trouble::Trouble;

/// The brokers to begin with, and how to get in.
pub struct Bootstrap {
    /// Host and port of each broker in the list.
    brokers: Vec<(String, u16)>,
    pub(super) access: Arc<Access>,
    /// The broker to begin with.
    turn: AtomicUsize,
}

impl Bootstrap {
    /// The brokers of a list whose entries may be lists with commas; what is no host and port is left out. `login` is a user and a
    /// password for SASL/PLAIN, `ca` a file with the certificates to trust instead of the system's. Opens nothing.
    pub fn new(
        list: &[String],
        login: Option<(String, String)>,
        tls: bool,
        ca: Option<PathBuf>,
    ) -> Self {
        let brokers = entries(list).filter_map(|(_, url)| url);
        let access = Access {
            tls,
            trust: Trust {
                ca,
                ..Trust::default()
            },
            login: login.map(|(user, password)| Login { user, password }),
            own: Vec::new(),
        };
        Self {
            brokers: brokers.map(|url| (url.host(), url.port_or(0))).collect(),
            access: Arc::new(access),
            turn: AtomicUsize::new(0),
        }
    }

    /// What is wrong with such a list, each with a way out; nobody is to be led to `own`.
    pub fn faults(list: &[String], own: &[SocketAddr]) -> Vec<(String, &'static str)> {
        if list.is_empty() {
            return vec![(
                "there is no broker to ask".to_owned(),
                "write `[kafka:9092]`",
            )];
        }
        let fault = |(entry, url): (&str, Option<Dsn>)| match url {
            Some(url) => {
                let why = url.forbidden(own)?;
                Some((why.to_owned(), "name the address of the dependency"))
            }
            // It may be a URL with a password in it, so it is not repeated.
            None if entry.contains('@') => Some((
                "a broker is a host and a port".to_owned(),
                "write `kafka:9092`; user and password have options of their own",
            )),
            None => Some((
                format!("`{entry}` is not a host and a port"),
                "write it as `kafka:9092`",
            )),
        };
        entries(list).filter_map(fault).collect()
    }

    /// The same, never led to these addresses.
    pub(super) fn away_from(mut self, own: Vec<SocketAddr>) -> Self {
        if let Some(access) = Arc::get_mut(&mut self.access) {
            access.own = own;
        }
        self
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (host, port)) in self.brokers.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bootstrap({self})")
    }
}

/// The entries of a list, each with where it leads to if it is a host and a port.
fn entries(list: &[String]) -> impl Iterator<Item = (&str, Option<Dsn>)> {
    let entries = list.iter().flat_map(|entry| entry.split(','));
    entries.map(|entry| {
        let entry = entry.trim();
        let url = format!("kafka://{entry}").parse::<Dsn>().ok();
        (
            entry,
            url.filter(|url| url.port_or(0) != 0 && url.user().is_none()),
        )
    })
}

impl Place for Bootstrap {
    type Session = Connection;

    const TONGUE: &'static str = "Kafka";

    /// The first broker of the list that lets us in.
    async fn open(&self) -> Result<Connection, Trouble> {
        let mut last = Trouble::says("there is no broker to ask");
        for _ in &self.brokers {
            // Counted on before it is tried: a run that is cut short here shall not begin here again.
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let Some((host, port)) = self.brokers.get(turn % self.brokers.len()) else {
                break;
            };
            match self.access.open(host, *port).await {
                Ok(connection) => {
                    self.turn.store(turn, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }
}
