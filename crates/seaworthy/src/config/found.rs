//! Checks that follow from the environment: an app that has a `REDIS_URL` depends on Redis, and nobody has to write it down.
//!
//! What is found is a guess, so it does no harm. It counts as shared by all replicas: it can degrade the service, and not take
//! it out of rotation, and while it is down an app that gets nowhere is not restarted for it. It never stands against anything that was written: a check of the same name, or one that takes its address from
//! the same variable, wins whole. And a value that cannot be understood costs a warning and nothing else.
//!
//! A found check names its variable and takes its address from there like any other, so that no secret is copied.

use seaworthy_config::Findings;
use seaworthy_health::probe::Around;
use seaworthy_health::probe::address::scheme;
use serde_json::{Value, json};

use super::Config;
use super::check::Check;
use super::health::Health;

/// What a check is called, and where its address may stand. Of several the first that is set counts.
const USUAL: &[(&str, &[&str])] = &[
    (
        "database",
        &[
            "DATABASE_URL",
            "DATABASE_URI",
            "SQLALCHEMY_DATABASE_URL",
            "SQLALCHEMY_DATABASE_URI",
            "POSTGRES_URL",
            "POSTGRESQL_URL",
            "MYSQL_URL",
            "MARIADB_URL",
        ],
    ),
    ("redis", &["REDIS_URL", "REDIS_URI", "CACHE_URL"]),
    ("celery", &["CELERY_BROKER_URL", "CELERY_BROKER"]),
    (
        "kafka",
        &[
            "KAFKA_BOOTSTRAP_SERVERS",
            "KAFKA_BROKERS",
            "KAFKA_BOOTSTRAP",
            "BOOTSTRAP_SERVERS",
        ],
    ),
    ("rabbitmq", &["RABBITMQ_URL", "AMQP_URL", "CLOUDAMQP_URL"]),
    ("nats", &["NATS_URL", "NATS_URI"]),
];

/// The variables that are looked at.
pub(super) fn usual() -> impl Iterator<Item = &'static str> {
    USUAL.iter().flat_map(|(_, usual)| usual.iter().copied())
}

/// A variable that says where something is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The variable.
    pub(super) variable: &'static str,
    /// What its check is called.
    pub(super) name: &'static str,
    /// The check as it would stand in a file, or why there is none.
    pub(super) check: Result<Value, String>,
}

/// What the variables let one guess.
pub(super) fn look(around: &Around) -> Vec<Found> {
    let found = USUAL.iter().filter_map(|(name, usual)| {
        let set = |one: &&'static str| Some((*one, around.variables.get(one)?));
        let mut set = usual.iter().filter_map(set);
        set.find_map(|(variable, value)| {
            let kind = kind(name, variable, value).transpose()?;
            Some(Found {
                variable,
                name,
                check: kind.and_then(|kind| check(kind, name, variable, around)),
            })
        })
    });
    found.collect()
}

/// The kind of the check; none for what needs no check, such as a file.
fn kind(name: &str, variable: &str, value: &str) -> Result<Option<&'static str>, String> {
    let scheme = scheme(value).unwrap_or_default();
    let scheme = scheme.as_str();
    Ok(Some(match name {
        "database" => match scheme {
            "postgres" => "postgres",
            "mysql" => "mysql",
            _ if scheme.starts_with("sqlite") => return Ok(None),
            "" => return Err("it is not a URL".to_owned()),
            other => return Err(format!("there is no check for `{other}`")),
        },
        // A cache may be anything, and mostly is memory.
        "redis" if variable == "CACHE_URL" && !scheme.starts_with("redis") => return Ok(None),
        "celery" if scheme == "memory" => return Ok(None),
        "redis" => "redis",
        "celery" => "celery",
        "kafka" => "kafka",
        "rabbitmq" => "rabbitmq",
        _ => "nats",
    }))
}

fn check(kind: &str, name: &str, variable: &str, around: &Around) -> Result<Value, String> {
    let written = json!({"kind": kind, "name": name, "shared": true, "env": variable});
    let check: Check =
        serde_json::from_value(written.clone()).map_err(|error| error.to_string())?;
    match check
        .faults(Health::default().pace(), around)
        .into_iter()
        .next()
    {
        None => Ok(written),
        Some(fault) => Err(fault.message),
    }
}

/// Says which variables were not understood.
pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let checks = &config.health.checks;
    let is_said = |found: &Found| {
        let mut all = checks.iter().map(Check::common);
        all.any(|one| one.name == found.name || one.env.as_deref() == Some(found.variable))
    };
    if !config.health.auto {
        return;
    }
    for found in look(&config.around()) {
        let Err(why) = &found.check else { continue };
        if !is_said(&found) {
            findings
                .warning(
                    "health.auto",
                    format!("no check follows from {}: {why}", found.variable),
                )
                .help(format!(
                    "mend the variable, write a check called `{}`, or set `health.auto: false`",
                    found.name
                ));
        }
    }
}
