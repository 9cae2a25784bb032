//! The section `routes`: limits of single routes, and the names under which they are counted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_config::{Findings, Template};
use seaworthy_core::concurrency::Priority;
use seaworthy_core::quantity::{Bound, Duration, Size};
use seaworthy_core::quota::Spec;
use seaworthy_core::route::RouteTable;
use serde::{Deserialize, Serialize};

use super::auth::Demand;
use super::concurrency::{self, Places};
use super::validation::Validation;
use super::{Config, Retry, headers, limits, retry};

/// Limits of one route, over the general ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Which requests: `/users/:id`, `POST /v1/predict*`, `GET|HEAD /files/*`. The most specific route wins.
    #[serde(rename = "match")]
    pub pattern: String,
    /// How long a request may take in all, or `none`. Default: `limits.total`.
    #[serde(default)]
    pub timeout: Option<Bound<Duration>>,
    /// How long the app may take to the first byte of its answer, or `none`. Default: `limits.response_timeout`.
    #[serde(default)]
    pub response_timeout: Option<Bound<Duration>>,
    /// How long an answer may pause while it is sent, or `none`. Default: `limits.stream_idle`.
    #[serde(default)]
    pub stream_idle: Option<Bound<Duration>>,
    /// The largest body of a request, or `none`. Default: `limits.max_body`.
    #[serde(default)]
    pub max_body: Option<Bound<Size>>,
    /// Places of its own, within those of all. Default: none.
    #[serde(default)]
    pub concurrency: Option<Places>,
    /// How much its requests matter when not everything can be served: `low`, `normal`, `high` or `critical`. Default `normal`.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// How often each client may ask for it, beside the other limits; `unlimited` frees the route from all. Default: the others.
    #[serde(default)]
    pub limit: Option<Spec>,
    /// How many requests one of these counts as. Default 1.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub cost: Option<u64>,
    /// A field of the app's answer that says how many it really was, such as the tokens of a language model; `cost` is then what is
    /// reserved meanwhile. Default: none.
    #[serde(default)]
    pub cost_header: Option<String>,
    /// Whether requests count towards a ban. Default `true`.
    #[serde(default)]
    pub bans: Option<bool>,
    /// How long one try may take to the first byte of its answer, or `none`. Default: `limits.attempt_timeout`.
    #[serde(default)]
    pub attempt_timeout: Option<Bound<Duration>>,
    /// Which of the `breakers` it has, by name. Default: the one whose `routes` fit, else `default`.
    #[serde(default)]
    pub breaker: Option<String>,
    /// How its requests are sent again. Default: the section `retry`.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Whether its requests must say who makes them: `none`, `optional` or `required`. Default: as `auth.required` says.
    #[schemars(extend("x-local" = true))]
    #[serde(default)]
    pub auth: Option<Demand>,
    /// What its bodies have to be like. Default: as `validate` says.
    #[schemars(extend("x-local" = true))]
    #[serde(default)]
    pub validate: Option<Validation>,
    /// Fields of its answers, over `headers`; an empty value takes a field away. They may name secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let (routes, limits) = (&config.routes, &config.limits);
    for (index, route) in routes.iter().enumerate() {
        let path = |key: &str| format!("routes[{index}].{key}");
        if let Err(error) = RouteTable::try_new([&route.pattern]) {
            findings.error(path("match"), error.to_string());
        }
        if routes[..index]
            .iter()
            .any(|other| other.pattern == route.pattern)
        {
            findings
                .error(
                    path("match"),
                    format!("`{}` is listed twice", route.pattern),
                )
                .help("keep one of the two");
        }
        if let Some(places) = &route.concurrency {
            concurrency::validate_places(&path("concurrency"), places, findings);
        }
        headers::validate(&path("headers"), &route.headers, findings);
        again(&path, route, config, findings);
        for (key, bound) in [
            ("timeout", route.timeout),
            ("response_timeout", route.response_timeout),
            ("stream_idle", route.stream_idle),
            ("attempt_timeout", route.attempt_timeout),
        ] {
            if bound.and_then(Bound::get).is_some_and(Duration::is_zero) {
                findings
                    .error(path(key), "no time at all would refuse every request")
                    .help("write `none` for no limit");
            }
        }
        if let Some(attempt) = route.attempt_timeout {
            let whole = [
                route.timeout.unwrap_or(limits.total),
                route.response_timeout.unwrap_or(limits.response_timeout),
            ];
            let whole = ("limits.response_timeout", whole);
            limits::attempt(&path("attempt_timeout"), attempt, whole, findings);
        }
        // A total of the route cuts an inherited time to the first byte short, and that is meant: only two that are
        // written side by side contradict each other.
        let total = route.timeout.unwrap_or(limits.total).get();
        if let (Some(total), Some(Bound::At(response))) = (total, route.response_timeout)
            && total < response
        {
            findings
                .error(path("response_timeout"), format!("the app may take {response} to its first byte, but the whole request only {total}"))
                .related(path("timeout"))
                .related("limits.total")
                .help(format!("raise `timeout` to at least {response}, or lower `response_timeout`"));
        }
    }
    if let Err(error) = RouteTable::try_new(routes.iter().map(|route| &route.pattern))
        && findings
            .iter()
            .all(|finding| !finding.path().to_string().starts_with("routes"))
    {
        findings.error("routes", error.to_string());
    }
}

/// What happens when the app fails.
fn again(path: &dyn Fn(&str) -> String, route: &Route, config: &Config, findings: &mut Findings) {
    if let Some(own) = &route.retry {
        retry::validate(&path("retry"), own, findings);
    }
    if let Some(name) = &route.breaker
        && !config.breakers.contains_key(name)
    {
        findings
            .error(
                path("breaker"),
                format!("there is no breaker called `{name}`"),
            )
            .related("breakers")
            .help(format!(
                "add it, such as `breakers: {{{name}: {{failures: 5}}}}`"
            ));
    }
}
