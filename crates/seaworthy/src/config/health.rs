//! The section `health`: what is checked, how often, and what follows.

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::quantity::Duration;
use seaworthy_health::probe::Around;
use seaworthy_health::{Case, Policy};
use serde::{Deserialize, Serialize};

use super::Config;
use super::check::{Check, Pace};
use super::live::Live;

/// Health: the checks of what the service depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// What is checked. Layers merge by `name`.
    #[schemars(extend("x-merge" = "name"))]
    pub checks: Vec<Check>,
    /// Whether variables of the app that are usually called so become checks, unless a check of theirs is written here:
    /// `DATABASE_URL`, `REDIS_URL`, `CELERY_BROKER_URL`, `KAFKA_BOOTSTRAP_SERVERS`, `RABBITMQ_URL`, `NATS_URL` and the like. They
    /// only degrade, as what is `shared` does. Default `true`.
    pub auto: bool,
    /// How often a check runs unless it says otherwise. Default `5s`.
    pub interval: Duration,
    /// How long a check may take unless it says otherwise. Default `2s`.
    pub timeout: Duration,
    /// How soon a check runs again after a result that is worse than what is shown. Default `1500ms`.
    pub recheck: Duration,
    /// How status words are written in answers. Default `lower`.
    pub case: Case,
    /// What readiness follows. Default `state`.
    pub gate: GateBy,
    /// When the app itself counts as broken although its process runs.
    #[schemars(extend("x-restart" = true))]
    pub live: Live,
}

impl Default for Health {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            checks: Vec::new(),
            auto: true,
            interval: policy.interval.into(),
            timeout: policy.timeout.into(),
            recheck: policy.recheck.into(),
            case: Case::Lower,
            gate: GateBy::State,
            live: Live::default(),
        }
    }
}

impl Health {
    /// How often checks run that say nothing about it.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace {
            interval: self.interval,
            timeout: self.timeout,
            recheck: self.recheck,
        }
    }
}

/// What readiness follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateBy {
    /// What was found: a critical check that fails closes the gate, however it is worded.
    #[default]
    State,
    /// The word: only `unhealthy` closes the gate.
    Label,
}

impl Config {
    /// What checks have to know of this process.
    #[must_use]
    pub fn around(&self) -> Around {
        Around {
            own: self.listen.admin.own().into_iter().collect(),
            variables: self.variables.clone(),
            app: None,
        }
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let around = config.around();
    let checks = &config.health.checks;
    for (index, check) in checks.iter().enumerate() {
        let at = |option: &str| format!("health.checks[{index}].{option}");
        let common = check.common();
        if common.name.is_empty() {
            findings
                .error(format!("health.checks[{index}]"), "the check has no name")
                .help("add `name`, such as `name: database`");
        }
        if checks[..index]
            .iter()
            .any(|other| other.common().name == common.name)
        {
            findings
                .error(
                    at("name"),
                    format!("there are two checks called `{}`", common.name),
                )
                .help("give each its own name");
        }
        if let Some(variable) = check.unset(&around) {
            let name = &common.name;
            findings
                .warning(
                    at("env"),
                    format!("{variable} is not set: nothing will be known of `{name}`"),
                )
                .help("set the variable, for the app as well, or remove the check");
        }
        for fault in check.faults(config.health.pace(), &around) {
            findings
                .error(at(fault.option), fault.message)
                .help(fault.help);
        }
    }
}
