//! The section `fallbacks`: what is served when the app cannot serve a route as it should.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::route::RouteTable;
use seaworthy_http::fallback::Cause;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Config, headers};

/// What is served instead. It announces itself: `X-Fallback: NAME=DEFAULT`, a metric, a line in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// The value that is safe, such as `FIXED_HOUSE_EDGE`.
    pub default: String,
    /// Which requests it is for, written like routes.
    #[serde(default)]
    pub routes: Vec<String>,
    /// When it is used. `flag_missing` and `invalid` look at `variable`. Default: all of them.
    #[serde(default = "all")]
    pub when: Vec<When>,
    /// Whom it is for: `client` gets the document below instead of the app's answer, `app` is sent the header `X-Fallback` with
    /// the request while the feature is degraded. Default `client`.
    #[serde(default)]
    pub to: To,
    /// The variable of the app that chooses the value. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-local" = true))]
    pub variable: Option<String>,
    /// The values that the variable may have. Default: any.
    #[serde(default)]
    #[schemars(extend("x-local" = true))]
    pub values: Vec<String>,
    /// The status of the answer. Default 200.
    #[serde(default = "ok")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// The JSON document of the answer. Default: the name of the fallback with its default, and `"fallback": true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Fields of the answer.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The methods that it answers. Default `[GET, HEAD]`.
    #[serde(default = "reading")]
    pub methods: Vec<String>,
    /// The feature that is degraded while it is used, as `GET /-/features` shows it. Default: the name of the fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
}

/// When a fallback is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The breaker of the request is open.
    BreakerOpen,
    /// The app failed: it did not answer, or with 5xx.
    UpstreamError,
    /// The variable is not set.
    FlagMissing,
    /// The variable has another value than those listed.
    Invalid,
}

/// Whom a fallback is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// The client is answered in the app's place.
    #[default]
    Client,
    /// The app is told.
    App,
}

fn all() -> Vec<When> {
    vec![
        When::BreakerOpen,
        When::UpstreamError,
        When::FlagMissing,
        When::Invalid,
    ]
}

fn reading() -> Vec<String> {
    ["GET", "HEAD"].map(str::to_owned).into()
}

const fn ok() -> u16 {
    200
}

impl Fallback {
    /// The feature that it stands for.
    pub fn feature<'a>(&'a self, name: &'a str) -> &'a str {
        self.feature.as_deref().unwrap_or(name)
    }

    /// The failures that it is for.
    pub fn causes(&self) -> Vec<Cause> {
        let cause = |when: &When| match when {
            When::BreakerOpen => Cause::BreakerOpen,
            When::UpstreamError => Cause::UpstreamError,
            When::FlagMissing => Cause::FlagMissing,
            When::Invalid => Cause::Invalid,
        };
        self.when.iter().map(cause).collect()
    }

    /// Why it is used whatever the app does, if it is: the flag that chooses says nothing that counts.
    pub fn standing(&self, config: &Config) -> Option<Cause> {
        let value = config.variables.get(self.variable.as_deref()?);
        let cause = match value {
            None => Cause::FlagMissing,
            Some(value)
                if !self.values.is_empty() && !self.values.iter().any(|own| own == value) =>
            {
                Cause::Invalid
            }
            Some(_) => return None,
        };
        self.causes().contains(&cause).then_some(cause)
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    for (name, one) in &config.fallbacks {
        let path = |key: &str| format!("fallbacks.{name}.{key}");
        for (key, text) in [
            ("", name.as_str()),
            (".default", &one.default),
            (".feature", one.feature(name)),
        ] {
            if !super::text::is_name(text) {
                findings
                    .error(format!("fallbacks.{name}{key}"), "it is not a name")
                    .help("write letters, digits, `_`, `-` and `.`");
            }
        }
        if one.routes.is_empty() {
            findings
                .error(path("routes"), "it is for no request")
                .help("list its routes, such as `/api/algorithm*`");
        }
        if let Err(error) = RouteTable::try_new(&one.routes) {
            findings.error(path("routes"), error.to_string());
        }
        super::text::methods(&path("methods"), &one.methods, findings);
        headers::plain(&path("headers"), one.headers.clone(), findings);
        if !one.values.is_empty() && one.variable.is_none() {
            findings
                .error(path("values"), "nothing says whose values these are")
                .help("name the `variable`");
        }
    }
}
