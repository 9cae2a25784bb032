//! The section `validate`, of the file and of routes: what bodies have to be like.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::quantity::Size;
use seaworthy_http::validate::{self as rules, DEEPEST, Path, Rule};
use serde::{Deserialize, Serialize};

use super::Config;

/// What stands for the app's own description in place of a file.
pub const OPENAPI: &str = "openapi";

/// What bodies have to be like: JSON, of a certain size and depth, and as a schema and rules say. At the top it holds for every
/// route that says nothing else, as soon as it asks for more than a mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// What happens to a body that breaks a rule: `off` looks at none, `observe` counts it, `enforce` refuses it. Default `observe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The largest body that is checked; with `enforce` larger ones are refused. Default `1MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<Size>,
    /// The most items of lists, by where they are: `{candles: 2048}`. Default: any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_items: BTreeMap<String, u32>,
    /// How deep lists and objects may stand within each other. Default 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 120))]
    pub max_depth: Option<u16>,
    /// A file with a JSON Schema, or `openapi` for what the app's own `/openapi.json` says about the route. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Rules of your own. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Written>,
}

/// What happens to a body that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody looks.
    Off,
    /// It is counted and passed on.
    Observe,
    /// It is refused.
    Enforce,
}

/// One rule: `ascending`, `not_null`, `same_length`, or `expr` with a `name`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Written {
    /// Numbers, texts or times that do not go down: `timestamps` or `candles[].time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ascending: Option<String>,
    /// With `ascending`: no two may be the same. Default `false`.
    pub strict: bool,
    /// What is neither missing nor null, nor a text such as `NaN`: `candles[].*` or `user.name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_null: Option<String>,
    /// Lists that are equally long: `[timestamps, candles]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub same_length: Vec<String>,
    /// With `expr`: every item of this list. Without it the body itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// A condition in CEL, such as `low <= min(open, close)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// What answers call the condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What is wrong with a rule: the key of it, what, and how to mend it.
type Wrong = (&'static str, String, String);

impl Validation {
    /// Whether it asks for more than a mode.
    pub fn asks(&self) -> bool {
        !self.max_items.is_empty()
            || self.max_depth.is_some()
            || self.schema.is_some()
            || !self.rules.is_empty()
    }

    /// This, and for what it does not say, the other.
    #[must_use]
    pub fn over(&self, general: Option<&Self>) -> Self {
        let Some(general) = general else {
            return self.clone();
        };
        let mut whole = self.clone();
        whole.mode = whole.mode.or(general.mode);
        whole.max_body = whole.max_body.or(general.max_body);
        whole.max_depth = whole.max_depth.or(general.max_depth);
        whole
    }
}

impl From<Mode> for rules::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::Observe => Self::Observe,
            Mode::Enforce => Self::Enforce,
        }
    }
}

impl Written {
    /// The rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&self) -> Result<Rule, Wrong> {
        let kinds = [
            self.ascending.is_some(),
            self.not_null.is_some(),
            !self.same_length.is_empty(),
            self.expr.is_some(),
        ];
        if kinds.into_iter().filter(|is| *is).count() != 1 {
            let help = "write one of `ascending`, `not_null`, `same_length` and `expr`; further rules are entries of their own";
            return Err(("", "this is not one rule".to_owned(), help.to_owned()));
        }
        if self.strict && self.ascending.is_none() {
            return Err((
                "strict",
                "it belongs to `ascending`".to_owned(),
                "leave it out".to_owned(),
            ));
        }
        if self.expr.is_none() && (self.each.is_some() || self.name.is_some()) {
            let key = if self.each.is_some() { "each" } else { "name" };
            return Err((
                key,
                "it belongs to `expr`".to_owned(),
                "leave it out".to_owned(),
            ));
        }
        if let Some(path) = &self.ascending {
            return Ok(Rule::Ascending {
                path: place("ascending", path)?,
                strict: self.strict,
            });
        }
        if let Some(path) = &self.not_null {
            return Ok(Rule::NotNull(place("not_null", path)?));
        }
        if let Some(expr) = &self.expr {
            let name = self.name.clone().ok_or_else(|| {
                let help = "add `name`, by which answers call the rule";
                ("expr", "the rule has no name".to_owned(), help.to_owned())
            })?;
            let condition =
                rules::compile(expr).map_err(|bad| ("expr", pointed(expr, &bad), bad.help))?;
            let each = self
                .each
                .as_ref()
                .map(|each| place("each", each))
                .transpose()?;
            return Ok(Rule::Holds {
                each,
                condition,
                name,
            });
        }
        let paths = self
            .same_length
            .iter()
            .map(|path| place("same_length", path));
        paths.collect::<Result<_, _>>().map(Rule::SameLength)
    }
}

fn place(key: &'static str, text: &str) -> Result<Path, Wrong> {
    let path = text.parse::<Path>();
    path.map_err(|bad| (key, bad.to_string(), "name a field of the body".to_owned()))
}

/// What is wrong with a condition, and where in it: a short one is repeated up to there.
fn pointed(text: &str, bad: &rules::BadExpression) -> String {
    match bad.column {
        None => bad.message.clone(),
        Some(column) => {
            let rest: String = text
                .chars()
                .skip(column.saturating_sub(1))
                .take(20)
                .collect();
            format!("{} (at character {column}: `{rest}`)", bad.message)
        }
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    if let Some(general) = &config.validate {
        section("validate", general, findings);
    }
    for (index, route) in config.routes.iter().enumerate() {
        let Some(own) = &route.validate else {
            continue;
        };
        section(&format!("routes[{index}].validate"), own, findings);
    }
}

fn section(at: &str, section: &Validation, findings: &mut Findings) {
    for path in section.max_items.keys() {
        if let Err(bad) = path.parse::<Path>() {
            findings.error(format!("{at}.max_items"), bad.to_string());
        }
    }
    if let Some(depth) = section
        .max_depth
        .filter(|depth| usize::from(*depth) > DEEPEST || *depth == 0)
    {
        findings.error(
            format!("{at}.max_depth"),
            format!("{depth} is not between 1 and {DEEPEST}"),
        );
    }
    if let Some(size) = section
        .max_body
        .filter(|size| !(1..=64 << 20).contains(&size.get()))
    {
        findings
            .error(
                format!("{at}.max_body"),
                format!("{size} is not between 1 byte and 64MiB"),
            )
            .help("a body that is checked is held in memory until it is");
    }
    for (index, rule) in section.rules.iter().enumerate() {
        if let Err((key, message, help)) = rule.read() {
            let dot = if key.is_empty() { "" } else { "." };
            findings
                .error(format!("{at}.rules[{index}]{dot}{key}"), message)
                .help(help);
        }
    }
}
