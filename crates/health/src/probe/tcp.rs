//! Whether something accepts connections.

use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome, Running};

/// Connects and closes. It says that something listens there, not that it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tcp {
    /// The host and port, such as `db:5432`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub addr: String,
}

impl Probe for Tcp {
    const KIND: &'static str = "tcp";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("addr", &mut self.addr))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        match format!("tcp://{}", self.addr).parse::<Dsn>() {
            Ok(url) if url.port_or(0) != 0 => {
                super::judge_url("addr", &url, &["tcp"], around, faults);
            }
            _ => {
                let message = format!("`{}` is not a host and a port", self.addr);
                faults.push(Fault::new("addr", message, "write it as `db:5432`"));
            }
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        Arc::new(Connects(self.addr.clone()))
    }
}

struct Connects(String);

impl Check for Connects {
    fn kind(&self) -> &'static str {
        Tcp::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            match TcpStream::connect(&self.0).await {
                Ok(_) => Outcome::healthy("it accepts connections"),
                Err(error) => super::trouble::unreachable(&error),
            }
        })
    }
}
