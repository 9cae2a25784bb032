//! Where a check goes, when not the file says it but a variable, as `DATABASE_URL` does for the app itself.
//!
//! Such a value is written for the app's driver. What all drivers of a server mean alike is understood (`postgresql+asyncpg`
//! and `psql` are Postgres); it is never repeated in a message, because it holds a password more often than not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use seaworthy_core::dsn::{Dsn, NotADsn};

use super::{Fault, Probe};
use crate::{Check, Outcome, Running};

/// An option that says where a check goes.
pub trait Address {
    /// Whether it says so.
    fn is_said(&self) -> bool;

    /// Says what a variable holds.
    ///
    /// # Errors
    /// When that is no address.
    fn say(&mut self, text: &str) -> Result<(), NotADsn>;
}

impl Address for Dsn {
    fn is_said(&self) -> bool {
        !self.is_nowhere()
    }

    fn say(&mut self, text: &str) -> Result<(), NotADsn> {
        *self = usual(text).parse()?;
        Ok(())
    }
}

/// Brokers of a cluster, with commas between them in a variable.
impl Address for Vec<String> {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }

    fn say(&mut self, text: &str) -> Result<(), NotADsn> {
        let entries = text.split(',').map(str::trim);
        let plain = entries.map(|entry| match entry.split_once("://") {
            Some((scheme, rest)) if is_plain(scheme) => rest.to_owned(),
            _ => entry.to_owned(),
        });
        *self = plain.filter(|entry| !entry.is_empty()).collect();
        Ok(())
    }
}

/// A host and a port.
impl Address for String {
    fn is_said(&self) -> bool {
        !self.is_empty()
    }

    fn say(&mut self, text: &str) -> Result<(), NotADsn> {
        text.trim().clone_into(self);
        Ok(())
    }
}

/// What Kafka calls a listener without TLS and login, and what URLs call it.
fn is_plain(scheme: &str) -> bool {
    ["plaintext", "kafka"]
        .iter()
        .any(|plain| scheme.eq_ignore_ascii_case(plain))
}

/// The URL with the scheme of its server, in place of that of a driver or a framework.
fn usual(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.into();
    };
    let usual = match scheme.split('+').next().unwrap_or_default() {
        "postgres" | "postgresql" | "psql" | "pgsql" | "postgis" | "timescale" | "timescalegis" => {
            "postgres"
        }
        "mysql" | "mysql2" | "mysqlgis" | "mysql-connector" | "mariadb" => "mysql",
        "rediscache" => "redis",
        "pyamqp" => "amqp",
        _ => return text.into(),
    };
    format!("{usual}://{rest}").into()
}

/// The scheme of a URL as [`Address::say`] understands it.
#[must_use]
pub fn scheme(text: &str) -> Option<String> {
    let usual = usual(text);
    let (scheme, _) = usual.split_once("://")?;
    Some(scheme.to_lowercase())
}

/// The variables that the app sees. They are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(Arc<BTreeMap<String, String>>);

impl Variables {
    /// What a variable holds. An empty one is like none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?;
        (!value.trim().is_empty()).then_some(value)
    }

    /// What a variable holds, be it empty.
    #[must_use]
    pub fn verbatim(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why nobody knows where a check goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Astray {
    /// The variable of this name is not set.
    Unset(String),
    /// The options are wrong.
    Wrong(Fault),
}

/// `probe` with its address, which the variable `env` holds when one is named.
///
/// # Errors
/// When nothing says where it goes, or two do.
pub fn placed<P: Probe>(probe: &P, env: Option<&str>, variables: &Variables) -> Result<P, Astray> {
    let wrong = |option, message: String, help: String| {
        Err(Astray::Wrong(Fault::new(option, message, help)))
    };
    let mut placed = probe.clone();
    let (option, address) = match (placed.address(), env) {
        (Some(address), _) => address,
        (None, None) => return Ok(placed),
        (None, Some(_)) => {
            let message = format!("a check of the kind `{}` goes nowhere", P::KIND);
            return wrong("env", message, "remove `env`".to_owned());
        }
    };
    match (env, address.is_said()) {
        (None, true) => Ok(placed),
        (None, false) => {
            let message = "nothing says where it is".to_owned();
            let help = format!("add `{option}: …`, or `env: NAME` for a variable that holds it");
            wrong(option, message, help)
        }
        (Some(_), true) => {
            let message = format!("`{option}` says already where it is");
            wrong("env", message, format!("remove one: `env` or `{option}`"))
        }
        (Some(env), false) => {
            let Some(text) = variables.get(env) else {
                return Err(Astray::Unset(env.to_owned()));
            };
            match address.say(text) {
                Ok(()) => Ok(placed),
                Err(error) => wrong("env", format!("{env} is {error}"), format!("mend {env}")),
            }
        }
    }
}

/// A check that goes nowhere: nothing is known of what it should look at.
pub fn nowhere(kind: &'static str, astray: &Astray) -> Arc<dyn Check> {
    let message = match astray {
        Astray::Unset(variable) => format!("{variable} is not set"),
        Astray::Wrong(fault) => fault.message.clone(),
    };
    Arc::new(Nowhere { kind, message })
}

struct Nowhere {
    kind: &'static str,
    message: String,
}

impl Check for Nowhere {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn run(&self) -> Running<'_> {
        Box::pin(std::future::ready(Outcome::unknown(self.message.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_drivers_are_those_of_their_servers() {
        for (written, meant) in [
            (
                "postgresql+asyncpg://u:p@db/x?ssl=require",
                "postgres://u:p@db/x?ssl=require",
            ),
            ("psql://db", "postgres://db"),
            ("mysql+pymysql://db/x", "mysql://db/x"),
            (" mariadb+mariadbconnector://db ", "mysql://db"),
            ("rediscache://cache:6379/1", "redis://cache:6379/1"),
            ("pyamqp://guest@mq//", "amqp://guest@mq//"),
            ("rediss://cache", "rediss://cache"),
            ("redis+sentinel://a", "redis+sentinel://a"),
        ] {
            assert_eq!(usual(written), meant, "{written}");
        }
    }

    #[test]
    fn brokers_stand_between_commas() {
        let mut brokers = Vec::new();
        brokers.say("a:9092, PLAINTEXT://b:9092,").unwrap();
        assert_eq!(brokers, ["a:9092", "b:9092"]);
        brokers.say("SASL_SSL://c:9093").unwrap();
        assert_eq!(
            brokers,
            ["SASL_SSL://c:9093"],
            "left for the check to refuse"
        );
    }

    #[test]
    fn what_variables_hold_is_not_shown() {
        let variables: Variables = [("A".to_owned(), "hunter2".to_owned())]
            .into_iter()
            .collect();
        assert_eq!(format!("{variables:?}"), r#"{"A"}"#);
        assert_eq!(variables.get("A"), Some("hunter2"));
    }
}
