//! The section `registry`: settings that many instances are told alike, while they run.

use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::registry::{Content, Trust};
use seaworthy_config::{
    Findings, LOCAL, Path, RESTART, Secret, Segment, closest_setting, is_known, marked, own_names,
    schema_of,
};
use seaworthy_core::dsn::Dsn;
use seaworthy_core::quantity::Duration;
use seaworthy_health::probe::kafka::Bootstrap;
use serde::{Deserialize, Serialize};

use super::Config;

/// The sections that a registry may say something of. Whatever starts programs, opens ways, reads files, lets callers in or shows
/// secrets is left out: whoever can write into the registry shall not own the machine. Settings of that kind inside of these sections
/// are marked with [`LOCAL`].
const SAYABLE: [&str; 13] = [
    "abuse",
    "bans",
    "breakers",
    "concurrency",
    "errors",
    "fallbacks",
    "flags",
    "headers",
    "limits",
    "log",
    "retry",
    "routes",
    "traces",
];

/// No setting lies deeper.
const DEEPEST: usize = 16;
/// Kafka takes no longer names of topics.
const LONGEST_TOPIC: usize = 249;

/// Where instances find versions of settings that are laid over their files: exactly one of `directory`, `kafka` and `postgres`.
/// `seaworthy config publish` writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// A folder that all instances see, such as a shared volume.
    pub directory: Option<PathBuf>,
    /// Topics of Apache Kafka.
    pub kafka: Option<KafkaRegistry>,
    /// Tables of a Postgres database.
    pub postgres: Option<PostgresRegistry>,
    /// The public keys of those who may publish, as `seaworthy config keygen` shows them.
    pub trust: Vec<String>,
    /// Whether what nobody signed is believed; only where nobody else can write. Default `false`.
    pub unsigned: bool,
    /// The private key that `config publish` signs with, such as `${secret:publisher}`. Instances need none.
    pub key: Option<Secret>,
    /// What this instance is called; no two may have one name. Default: the name of the host and the public port.
    pub instance: Option<String>,
    /// Settings that the registry may not say, beside those that it never may.
    pub pin: Vec<String>,
    /// How often it is looked for something new. Default `250ms`.
    pub interval: Duration,
}

/// Topics of Apache Kafka. Each has one partition; let them be compacted, or keep records for as long as the longest absence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaRegistry {
    /// Brokers to begin with, such as `[kafka:9092]`. There must be one.
    pub bootstrap: Vec<String>,
    /// The topic of versions. Default `config_updates`.
    pub topic: String,
    /// The topic of acknowledgements. Default `config_acks`.
    pub ack_topic: String,
    /// The user to log in as, with SASL/PLAIN. Default: nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password of `user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether brokers speak TLS. Default `false`.
    pub tls: bool,
    /// A PEM file with the certificates to trust over TLS. Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// Tables of a Postgres database. They are made when they are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresRegistry {
    /// Where the database is, such as `postgres://user:password@db/shop`.
    pub url: Dsn,
    /// The table of versions; the one of acknowledgements has `_acks` behind it. Default `seaworthy_config`.
    #[serde(default = "table")]
    pub table: String,
    /// A PEM file with the certificates to trust over TLS. Default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

fn table() -> String {
    "seaworthy_config".to_owned()
}

impl Default for KafkaRegistry {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            topic: "config_updates".to_owned(),
            ack_topic: "config_acks".to_owned(),
            user: None,
            password: None,
            tls: false,
            ca: None,
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            directory: None,
            kafka: None,
            postgres: None,
            trust: Vec::new(),
            unsigned: false,
            key: None,
            instance: None,
            pin: Vec::new(),
            interval: Duration::from_millis(250),
        }
    }
}

impl Registry {
    /// Why this content is not taken: the setting and what is wrong with it.
    #[must_use]
    pub fn refuses(&self, content: &Content) -> Option<String> {
        let schema = schema_of::<Config>();
        content.set.iter().find_map(|(setting, value)| {
            let path = Path::from(setting.as_str());
            if path.segments().len() > DEEPEST {
                return Some(format!("`{}...` is no setting; write an address such as `limits.tiers`", setting.get(..40).unwrap_or_default()));
            }
            let named = own_names(&schema, &path);
            let is_pinned = |pin: &String| {
                own_names(&schema, &Path::from(pin.as_str())).overlaps(&named)
            };
            let is_sayable = match path.segments().first() {
                Some(Segment::Key(section)) => SAYABLE.contains(&section.as_str()),
                _ => false,
            };
            let names_others = value.to_string().contains("${");
            let has_mark = |mark: &str| marked(&schema, mark, &path, value);
            let has_index = |segment: &Segment| matches!(segment, Segment::Index(_));
            if !is_sayable {
                Some(format!(
                    "`{setting}` is nothing that a registry may say; it may say {}",
                    SAYABLE.join(", ")
                ))
            } else if self.pin.iter().any(is_pinned) {
                Some(format!("`{setting}` is pinned by `registry.pin`"))
            } else if let Some(marked) = has_mark(RESTART) {
                Some(format!(
                    "`{marked}` holds only after a restart, so a registry may not say it"
                ))
            } else if let Some(marked) = has_mark(LOCAL) {
                Some(format!(
                    "`{marked}` reads files or variables or decides who comes in, which only the files of an instance may say"
                ))
            } else if path.segments().iter().any(has_index) {
                Some(format!(
                    "`{setting}` is one item of a list; say the whole list"
                ))
            } else if names_others {
                Some(format!(
                    "`{setting}` names variables or secrets of the instance; a registry may not"
                ))
            } else {
                None
            }
        })
    }

    /// Whose records are believed.
    ///
    /// # Errors
    /// A key is none.
    pub fn trusts(&self) -> Result<Trust, String> {
        Trust::new(&self.trust)
    }
}

impl Config {
    /// The environment that records of a registry are for.
    #[must_use]
    pub fn registry_environment(&self) -> &str {
        self.environment.as_deref().unwrap_or("default")
    }
}

/// Whether this can be the name of a table of the registry: letters, digits and `_`, at most 58 of them, with a schema before a dot
/// if need be.
pub fn is_table(name: &str) -> bool {
    let is_word = |word: &str| {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let starts = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        // The other table has five more, and Postgres cuts names at 63.
        starts && word.len() <= 58 && word.bytes().all(is_fine)
    };
    match name.split_once('.') {
        Some((schema, table)) => is_word(schema) && is_word(table),
        None => is_word(name),
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let Some(registry) = &config.registry else {
        return;
    };
    let places = [
        registry.directory.is_some(),
        registry.kafka.is_some(),
        registry.postgres.is_some(),
    ];
    if places.into_iter().filter(|named| *named).count() != 1 {
        findings
            .error(
                "registry",
                "it takes exactly one of `directory`, `kafka` and `postgres`",
            )
            .help("write `kafka: {bootstrap: [kafka:9092]}`");
    }
    if let Err(why) = registry.trusts() {
        findings.error("registry.trust", why);
    }
    if registry.trust.is_empty() && !registry.unsigned {
        findings
            .error("registry.trust", "nobody is named whose versions are believed")
            .help("write the public key that `seaworthy config keygen` shows, or `unsigned: true` where nobody else can write");
    }
    validate_pins(&registry.pin, findings);
    if let Some(postgres) = &registry.postgres {
        if !is_table(&postgres.table) {
            findings
                .error("registry.postgres.table", "it is no name for a table")
                .help("write letters, digits and `_`, at most 58, with a schema before a dot if need be");
        }
        if let Some(why) = postgres.url.forbidden(&[]) {
            findings.error("registry.postgres.url", why);
        }
    }
    if let Some(kafka) = &registry.kafka {
        validate_kafka(kafka, findings);
    }
    if registry.interval.get() < std::time::Duration::from_millis(50) {
        findings
            .error("registry.interval", "that is too often")
            .help("write at least `50ms`");
    }
}

fn validate_pins(pins: &[String], findings: &mut Findings) {
    for (index, pin) in pins.iter().enumerate() {
        let path = Path::from(pin.as_str());
        if !is_known::<Config>(&path) {
            let closest = closest_setting::<Config>(&path);
            let help = closest.map_or(
                "write an address, such as `limits.tiers`".to_owned(),
                |closest| format!("did you mean `{closest}`?"),
            );
            findings
                .error(
                    format!("registry.pin[{index}]"),
                    format!("`{pin}` is no setting"),
                )
                .help(help);
        }
    }
}

fn validate_kafka(kafka: &KafkaRegistry, findings: &mut Findings) {
    for (message, help) in Bootstrap::faults(&kafka.bootstrap, &[]) {
        findings
            .error("registry.kafka.bootstrap", message)
            .help(help);
    }
    for (key, topic) in [("topic", &kafka.topic), ("ack_topic", &kafka.ack_topic)] {
        if topic.is_empty() || topic.len() > LONGEST_TOPIC {
            findings
                .error(format!("registry.kafka.{key}"), "a name has 1 to 249 bytes")
                .help("write the name of a topic, such as `config_updates`");
        }
    }
    if kafka.user.is_some() != kafka.password.is_some() {
        findings
            .error("registry.kafka", "a login has a user and a password")
            .help("write both, or none");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused(setting: &str, value: Value) -> Option<String> {
        let set = [(setting.to_owned(), value)].into();
        Registry::default().refuses(&Content { version: 1, set })
    }

    #[test]
    fn what_reads_files_or_lets_in_is_found_however_it_is_written() {
        for (setting, value) in [
            ("limits.keys_file", json!("/etc/shadow")),
            ("limits", json!({"tiers": {}, "identify": ["header"]})),
            ("flags.x.env", json!("DB_PASSWORD")),
            (
                "fallbacks",
                json!({"x": {"default": "a", "values": ["guess"]}}),
            ),
            (
                "routes",
                json!([{"match": "/a"}, {"match": "/b", "auth": "none"}]),
            ),
            (
                "routes",
                json!([{"match": "/a", "validate": {"schema": "/etc/shadow"}}]),
            ),
        ] {
            let why = refused(setting, value.clone()).unwrap_or_default();
            assert!(why.contains("only the files"), "{setting}: {value}: {why}");
        }
    }

    #[test]
    fn what_needs_a_restart_is_in_the_way_only_where_it_is_said() {
        assert_eq!(refused("limits", json!({"max_body": "1MiB"})), None);
        let store = refused("limits", json!({"store": "redis"})).unwrap_or_default();
        assert!(store.contains("`limits.store` holds only after"), "{store}");
    }

    #[test]
    fn a_pin_holds_by_whatever_name_a_setting_goes() {
        let registry = Registry {
            pin: vec!["breakers.default.recovery".to_owned()],
            ..Registry::default()
        };
        for (setting, value) in [
            ("breakers.default.cooldown", json!("1s")),
            ("breakers.default.recovery", json!("1s")),
            ("breakers", json!({"default": {"cooldown": "1s"}})),
        ] {
            let set = [(setting.to_owned(), value)].into();
            let why = registry.refuses(&Content { version: 1, set });
            assert!(
                why.is_some_and(|why| why.contains("is pinned")),
                "{setting}"
            );
        }
    }

    #[test]
    fn an_address_without_end_is_no_setting() {
        let endless = "limits".to_owned() + &".a".repeat(500_000);
        assert!(refused(&endless, json!(1)).is_some_and(|why| why.len() < 200));
    }

    #[test]
    fn a_name_of_the_users_own_is_no_setting() {
        assert_eq!(refused("breakers", json!({"auth": {"failures": 3}})), None);
        assert_eq!(refused("breakers.validate.failures", json!(3)), None);
    }
}
