//! Whether a Redis, or something that speaks as one (Valkey, KeyDB), answers.

pub(crate) mod session;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::dsn::Dsn;
use serde::{Deserialize, Serialize};

use self::session::{SCHEMES, Server, Session};
use super::kept::{self, Question};
use super::trouble::Trouble;
use super::{Address, Around, Fault, Probe};
use crate::{Check, Outcome};

/// Sends PING to a Redis server, and asks it for its version and a few counts. One connection, which is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redis {
    /// Where it is: `redis://user:password@host:6379/0`, or `rediss://…` for TLS. User, password and database may be left out.
    #[serde(default, skip_serializing_if = "Dsn::is_nowhere")]
    pub url: Dsn,
    /// Whether to ask for INFO as well, which gives `redis_version`, `uptime_in_seconds`, `connected_clients` and
    /// `used_memory` (bytes). By default it does.
    #[serde(default = "yes")]
    pub info: bool,
    /// A file with the certificates (PEM) that are trusted for `rediss://`. By default those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

impl Probe for Redis {
    const KIND: &'static str = "redis";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("url", &mut self.url))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        super::judge_url("url", &self.url, SCHEMES, around, faults);
        session::judge_database("url", &self.url, faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let server = Server::new(&self.url, self.ca.clone());
        kept::check(Self::KIND, server, Ping { info: self.info })
    }
}

struct Ping {
    info: bool,
}

impl Question<Server> for Ping {
    async fn ask(&self, session: &mut Session) -> Result<Outcome, Trouble> {
        let pong: String = session.ask(&redis::cmd("PING")).await?;
        if pong != "PONG" {
            return Err(Trouble::Foreign);
        }
        let outcome = Outcome::healthy("it answers PING");
        if !self.info {
            return Ok(outcome);
        }
        // All of it at once: servers before 7.0 do not take several sections.
        match session.ask::<String>(&redis::cmd("INFO")).await {
            Ok(info) => Ok(facts(&info, outcome)),
            Err(Trouble::Denied(_)) => Ok(Outcome::healthy("it answers PING, and refuses INFO")),
            Err(trouble) => Err(trouble),
        }
    }
}

/// The facts that are worth showing.
fn facts(info: &str, mut outcome: Outcome) -> Outcome {
    let fields = info
        .lines()
        .filter_map(|line| line.trim_end().split_once(':'));
    for (name, value) in fields {
        match name {
            "redis_version" => {
                if let Some(version) = super::version(value) {
                    outcome = outcome.with(name, version);
                }
            }
            "uptime_in_seconds" | "connected_clients" | "used_memory" => {
                if let Ok(number) = value.parse::<u64>() {
                    outcome = outcome.with(name, number);
                }
            }
            _ => {}
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_facts_are_taken_over() {
        let info = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:12\r\nused_memory:-1\r\nos:Linux\r\n";
        let outcome = facts(info, Outcome::healthy(""));
        let shown = serde_json::to_value(&outcome.metadata).unwrap();
        let expected = serde_json::json!({"redis_version": "7.0.15", "uptime_in_seconds": 12});
        assert_eq!(shown, expected);
        let evil = facts("redis_version:<script>\r\n", Outcome::healthy(""));
        assert!(evil.metadata.is_empty());
    }
}
