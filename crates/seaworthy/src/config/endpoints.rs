//! The section `endpoints`: paths of the user's own for views.

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_health::{Format, View};
use serde::{Deserialize, Serialize};

use super::Config;

/// A path that shows a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The path, such as `/livez`; matched exactly.
    pub path: String,
    /// What it shows.
    pub view: View,
    /// The shape of the answer. Default `full`.
    #[serde(default)]
    pub format: Format,
    /// Who answers, when the app has the path too. Default `merge` for metrics, else `own`.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The method; `GET` takes `HEAD` too. The view `reload` is always `POST`, all others read and are always `GET`. Default: that
    /// of the view.
    #[serde(default)]
    pub method: Method,
    /// The listener it is on. Default `public`.
    #[serde(default)]
    pub listen: Listener,
    /// Whether the answer may tell what the service depends on. Default: `true` on the admin listener, for views that exist for it,
    /// and for shapes other than `full`; else `false`.
    #[serde(default)]
    pub detail: Option<bool>,
    /// Who may see it; anyone else gets 404. Default: everyone.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

impl Endpoint {
    /// Who answers.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let default = if self.view == View::Metrics {
            Mode::Merge
        } else {
            Mode::Own
        };
        self.mode.unwrap_or(default)
    }
}

impl Endpoint {
    /// Whether the answer may tell what the service depends on.
    #[must_use]
    pub fn detail(&self) -> bool {
        let probe = matches!(self.view, View::Live | View::Ready | View::Startup);
        self.detail
            .unwrap_or(self.listen == Listener::Admin || !probe || self.format != Format::Full)
    }
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Seaworthy alone.
    Own,
    /// Seaworthy, with what the app says added.
    Merge,
    /// The app alone.
    Pass,
}

/// The method of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reading.
    #[default]
    Get,
    /// Doing.
    Post,
}

/// A listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listener {
    /// The one for users.
    #[default]
    Public,
    /// The one for operators.
    Admin,
}

/// Who may see an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// A peer on this machine, without forwarding headers.
    Loopback,
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    for (index, endpoint) in config.endpoints.iter().enumerate() {
        let path = format!("endpoints[{index}].path");
        if !endpoint.path.starts_with('/')
            || endpoint
                .path
                .contains(|c: char| c == '?' || c == '#' || c.is_whitespace() || c.is_control())
        {
            findings
                .error(path.as_str(), format!("`{}` is not a path", endpoint.path))
                .help("write it as `/health`, without a query");
        }
        let key = |other: &Endpoint| (other.path.clone(), other.method, other.listen);
        if let Some(first) = config.endpoints[..index]
            .iter()
            .position(|other| key(other) == key(endpoint))
        {
            findings
                .error(
                    path.as_str(),
                    format!(
                        "`{}` is mapped already, to `endpoints[{first}]`",
                        endpoint.path
                    ),
                )
                .help("keep one of the two");
        }
        validate_doing(endpoint, index, findings);
        let open =
            endpoint.listen == Listener::Public && !endpoint.allow.contains(&Allow::Loopback);
        if endpoint.view == View::Security && open {
            findings
                .error(
                    format!("endpoints[{index}].view"),
                    "everybody could read who is blocked and who is flagged",
                )
                .help("add `allow: [loopback]`, or `listen: admin`");
        }
        if endpoint.view == View::Metrics && !config.metrics.enabled {
            findings
                .error(
                    format!("endpoints[{index}].view"),
                    "metrics are switched off",
                )
                .related("metrics.enabled")
                .help("remove the endpoint or set `metrics.enabled: true`");
        }
    }
}

/// Which of the two it is, a view that is read or one that does something.
fn validate_doing(endpoint: &Endpoint, index: usize, findings: &mut Findings) {
    let does = endpoint.view == View::Reload;
    if does && endpoint.mode() != Mode::Own {
        findings
            .error(
                format!("endpoints[{index}].mode"),
                "the app has no part in this",
            )
            .help("remove `mode`");
    }
    if endpoint.method == Method::Post && !does {
        findings
            .error(
                format!("endpoints[{index}].method"),
                "this view only reads, so nobody can POST to it",
            )
            .related(format!("endpoints[{index}].view"))
            .help("remove `method`; POST is for the view `reload`");
    }
}
