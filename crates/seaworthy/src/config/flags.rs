//! The section `flags`: features that are on, off, or on for a share of those who ask.

use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::flag::{By, Switch};
use seaworthy_health::probe::Variables;
use serde::{Deserialize, Serialize};

use super::Config;

/// More flags than this are not told in one field.
const MOST: usize = 100;
/// Bytes of a name.
const LONGEST: usize = 64;

/// A feature flag: `true`, `false`, a percentage such as `25%`, or a mapping that says more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Flag {
    /// For whom it is on.
    Switch(Switch),
    /// The same, with where else it may be said and who counts as one.
    Rule(Rule),
}

/// A flag that says more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// For whom it is on: `true`, `false` or a percentage. With `env`, what holds while the variable is missing or makes no sense.
    /// Default `false`.
    pub value: Switch,
    /// A variable that says the same in its own words (`true`, `1`, `yes`, `on` and their opposites, or a percentage), and wins.
    /// Default: none.
    #[schemars(extend("x-local" = true))]
    pub env: Option<String>,
    /// What decides who belongs to a percentage: `principal` (the client where nobody vouched for one), `client` or `request`.
    /// Default `principal`.
    pub by: By,
}

/// How the app is told of feature flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Told {
    /// Whether each request has the names of the flags that are on for it in `X-Feature-Flags`, over whatever the client sent
    /// under that name. Default `false`.
    pub header: bool,
    /// A JSON file with all flags, which is replaced at once when they change; relative to the folder of the configuration.
    /// Default: none.
    pub file: Option<PathBuf>,
}

/// What a flag is, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// For whom it is on.
    pub switch: Switch,
    /// What decides who belongs to a percentage.
    pub by: By,
    /// The variable that said it, if one did.
    pub env: Option<String>,
}

impl Flag {
    /// What it is under these variables. A variable that makes no sense says nothing.
    #[must_use]
    pub fn settle(&self, variables: &Variables) -> Settled {
        let rule = match self {
            Self::Switch(switch) => Rule {
                value: *switch,
                ..Rule::default()
            },
            Self::Rule(rule) => rule.clone(),
        };
        let said = rule.env.filter(|name| variables.get(name).is_some());
        let read = said
            .as_deref()
            .and_then(|name| variables.get(name)?.parse().ok());
        Settled {
            switch: read.unwrap_or(rule.value),
            by: rule.by,
            env: said.filter(|_| read.is_some()),
        }
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    if config.flags.len() > MOST {
        let what = format!(
            "there are {} flags; at most {MOST} are told",
            config.flags.len()
        );
        findings
            .error("flags", what)
            .help("remove those that nobody reads any more");
    }
    for (name, flag) in &config.flags {
        let at = seaworthy_config::Path::root()
            .key("flags")
            .key(name.as_str());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(plain) {
            let what = format!("`{name}` cannot be the name of a flag");
            let help = "use at most 64 letters, digits, `_`, `-` and `.`";
            findings.error(at.clone(), what).help(help);
        }
        let Flag::Rule(Rule {
            env: Some(env),
            value,
            ..
        }) = flag
        else {
            continue;
        };
        if let Some(Err(error)) = config.variables.get(env).map(str::parse::<Switch>) {
            findings
                .warning(at.key("env"), format!("{env}: {error}"))
                .help(format!("until then it is {value}"));
        }
    }
}
