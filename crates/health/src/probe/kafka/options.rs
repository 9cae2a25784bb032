//! What the configuration says about a Kafka check.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::bootstrap::Bootstrap;
use crate::Check;
use crate::probe::limits::Ceiling;
use crate::probe::{Address, Around, Fault, Probe, kept};

/// Asks a Kafka cluster for its brokers, and for topics and the lag of a group if told so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kafka {
    /// Brokers to begin with, such as `[kafka-1:9092, kafka-2:9092]`; the first that answers tells about the cluster. An entry
    /// may itself be a list with commas, as `KAFKA_BOOTSTRAP_SERVERS` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<String>,
    /// Topics that must exist, each with a leader for every partition. They are looked at and never made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// A group of consumers; how many messages it is behind on `topic`, over all partitions, is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The topic that `group` reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// How many messages `group` may be behind, over all partitions.
    #[serde(flatten)]
    pub limits: Ceiling,
    /// The user to log in as, with SASL/PLAIN; nobody without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password of `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// Whether brokers speak TLS; false by default.
    #[serde(default)]
    pub tls: bool,
    /// A PEM file with the certificates to trust over TLS; the system's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// A password, which is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Password {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl JsonSchema for Password {
    fn schema_name() -> Cow<'static, str> {
        "Password".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "title": "secret",
            "description": "A text that is never printed.",
            "format": "password",
            "writeOnly": true,
        })
    }
}

impl Kafka {
    fn named(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let topics = self.topics.iter().map(|topic| ("topics", topic));
        let topic = self.topic.iter().map(|topic| ("topic", topic));
        topics
            .chain(topic)
            .chain(self.group.iter().map(|group| ("group", group)))
    }
}

impl Probe for Kafka {
    const KIND: &'static str = "kafka";

    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        Some(("bootstrap", &mut self.bootstrap))
    }

    fn faults(&self, around: &Around, faults: &mut Vec<Fault>) {
        for (message, help) in Bootstrap::faults(&self.bootstrap, &around.own) {
            faults.push(Fault::new("bootstrap", message, help));
        }
        for (option, name) in self.named() {
            if name.is_empty() || name.len() > 249 {
                let message = "a name has 1 to 249 bytes";
                faults.push(Fault::new(
                    option,
                    message,
                    "write the name as Kafka lists it",
                ));
            }
        }
        if self.group.is_some() != self.topic.is_some() {
            let (option, other) = if self.group.is_some() {
                ("topic", "group")
            } else {
                ("group", "topic")
            };
            let message = format!("`{other}` says nothing without `{option}`");
            faults.push(Fault::new(option, message, "give both, or none"));
        }
        if self.user.is_some() != self.password.is_some() {
            let (option, other) = if self.user.is_some() {
                ("password", "user")
            } else {
                ("user", "password")
            };
            let message = format!("`{other}` says nothing without `{option}`");
            faults.push(Fault::new(option, message, "give both, or none"));
        }
        self.limits.faults(faults);
    }

    fn check(&self, around: &Around) -> Arc<dyn Check> {
        let login = self.user.clone().zip(self.password.clone());
        let bootstrap = Bootstrap::new(
            &self.bootstrap,
            login.map(|(user, password)| (user, password.0)),
            self.tls,
            self.ca.clone(),
        );
        let bootstrap = bootstrap.away_from(around.own.clone());
        kept::check(Self::KIND, bootstrap, self.clone())
    }
}
