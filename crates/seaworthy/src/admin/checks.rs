//! The checks of dependencies: seeing them, asking anew, and setting them by hand.
//!
//! What is set by hand is told as an event with its end, so that nobody wonders next week why a dead database is healthy.

use std::time::Duration as Std;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{self, get, post};
use schemars::JsonSchema;
use seaworthy_core::catalogue;
use seaworthy_core::health::Status;
use seaworthy_core::names::event;
use seaworthy_core::quantity::Duration;
use seaworthy_health::probe::heartbeat::Beats;
use seaworthy_health::{Health, NoSuchCheck, Only, Report};
use seaworthy_http::error::Error;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::operation::{ONLY, Operation, Parameter};
use super::{Admin, guard};
use crate::config::check::Check;
use crate::schemas;

/// A question for all checks takes at most this long.
const PATIENCE: Std = Std::from_secs(5);

const FRESH: Parameter = Parameter {
    name: "fresh",
    about: "Look now, and wait for it.",
    values: &["1", "true", "0", "false"],
};

pub(super) const OPERATIONS: [Operation; 9] = [
    Operation::get("/-/checks", "All checks.", "checks", || get(list)).asking(&[FRESH, ONLY]),
    Operation::get("/-/checks/{name}", "One check.", "check", || get(one)).asking(&[FRESH]),
    Operation {
        method: "put",
        ..Operation::post(
            "/-/checks/{name}",
            "Adds a check, or replaces the one of this name.",
            (201, Some("check")),
            || routing::put(put),
        )
    }
    .taking(check_schema),
    Operation {
        method: "delete",
        ..Operation::post("/-/checks/{name}", "Removes a check.", (204, None), || {
            routing::delete(remove)
        })
    },
    Operation::post(
        "/-/checks/{name}/disable",
        "Stops a check and leaves it out of the whole.",
        (200, Some("check")),
        || post(disable),
    )
    .taking(schemas::input::<Orders>),
    Operation::post(
        "/-/checks/{name}/enable",
        "Ends what was disabled or forced.",
        (200, Some("check")),
        || post(enable),
    ),
    Operation::post(
        "/-/checks/{name}/force",
        "Lets a check show a word, whatever is found.",
        (200, Some("check")),
        || post(force),
    )
    .taking(schemas::input::<Orders>),
    Operation::post(
        "/-/checks/{name}/timeout",
        "Changes the timeout of a check; without one it has its own again.",
        (200, Some("check")),
        || post(timeout),
    )
    .taking(schemas::input::<Orders>),
    Operation::post(
        "/-/heartbeat/{worker}",
        "A worker says that it is alive.",
        (204, None),
        || post(heartbeat),
    ),
];

/// The options of each kind are in the schema of the configuration, which would be most of any document that repeats it.
fn check_schema() -> Value {
    json!({
        "type": "object",
        "description": "A check as below `health.checks` in seaworthy.yaml, without its name; `seaworthy config schema` prints the options of each kind.",
        "properties": {"kind": {"type": "string"}},
        "required": ["kind"],
    })
}

/// A worker says that it is alive.
async fn heartbeat(Path(worker): Path<String>) -> Response {
    if Beats::global().beat(&worker) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        refuse("the name is empty or too long, or there are too many workers already")
    }
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    fresh: Option<String>,
    only: Option<String>,
}

impl Asked {
    fn fresh(&self) -> bool {
        self.fresh
            .as_deref()
            .is_some_and(|fresh| fresh != "0" && fresh != "false")
    }

    fn only(&self) -> Only {
        match self.only.as_deref() {
            Some("required" | "critical") => Only::Critical,
            Some("optional") => Only::Optional,
            _ => Only::All,
        }
    }
}

async fn list(State(admin): State<Admin>, Query(asked): Query<Asked>) -> Response {
    let health = &admin.health;
    let only = asked.only();
    let report = if asked.fresh() {
        health.check_all(PATIENCE, only).await
    } else {
        let all = health.report();
        let components = all.components.iter().filter(|one| only.takes(one));
        Report::new(components.cloned().collect())
    };
    Json(report.document()).into_response()
}

async fn one(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let health = &admin.health;
    let component = if asked.fresh() {
        health.check_component(&name).await.ok()
    } else {
        health.report().component(&name).cloned()
    };
    match component {
        Some(component) => Json(component.document()).into_response(),
        None => unknown(&NoSuchCheck(name)),
    }
}

async fn put(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(options): Json<Map<String, Value>>,
) -> Response {
    let check = match Check::read(&name, options) {
        Ok(check) => check,
        Err(problems) => {
            let told = problems
                .items()
                .iter()
                .map(|problem| told(&problem.path, &problem.message, problem.help.as_deref()));
            return refuse(told.collect::<Vec<_>>().join(". "));
        }
    };
    let shown = admin.shown.load();
    if let Some(fault) = check.faults(shown.pace, &shown.around).first() {
        return refuse(told(fault.option, &fault.message, Some(&fault.help)));
    }
    admin.health.register(check.spec(shown.pace, &shown.around));
    audit(&name, "registered", None);
    let shown = admin.health.check_component(&name).await;
    match shown {
        Ok(component) => (StatusCode::CREATED, Json(component.document())).into_response(),
        Err(error) => unknown(&error),
    }
}

/// What is wrong with a check, in one line.
fn told(option: &str, message: &str, help: Option<&str>) -> String {
    let help = help.map(|help| format!("; {help}")).unwrap_or_default();
    format!("{option}: {message}{help}")
}

async fn remove(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match admin.health.remove(&name) {
        Ok(()) => {
            audit(&name, "removed", None);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unknown(&error),
    }
}

/// What is set by hand, and for how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Orders {
    /// How long it holds; without it, until it is undone.
    #[serde(rename = "for")]
    time: Option<Duration>,
    /// The word to show.
    status: Option<Status>,
    /// How long a look may take.
    timeout: Option<Duration>,
}

impl Orders {
    fn time(&self) -> Option<Std> {
        self.time.map(Duration::get)
    }
}

type Body = Option<Json<Orders>>;

async fn disable(State(admin): State<Admin>, Path(name): Path<String>, body: Body) -> Response {
    let time = body.unwrap_or_default().time();
    operated(&admin, &name, "disabled", time, |health| {
        health.disable(&name, time)
    })
}

async fn enable(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    operated(&admin, &name, "enabled", None, |health| {
        health.enable(&name)
    })
}

async fn force(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(asked): Json<Orders>,
) -> Response {
    let Some(status) = asked.status else {
        return refuse("`status` is missing: healthy, degraded or unhealthy");
    };
    let what = format!("forced to {}", status.word());
    operated(&admin, &name, &what, asked.time(), |health| {
        health.force(&name, status, asked.time())
    })
}

async fn timeout(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(asked): Json<Orders>,
) -> Response {
    if asked.timeout.is_some_and(Duration::is_zero) {
        return refuse("`timeout` is no time at all: write one such as `2s`");
    }
    let what = asked.timeout.map_or_else(
        || "given its own timeout again".to_owned(),
        |timeout| format!("given a timeout of {timeout}"),
    );
    let timeout = asked.timeout.map(Duration::get);
    operated(&admin, &name, &what, asked.time(), |health| {
        health.set_timeout(&name, timeout, asked.time())
    })
}

fn operated(
    admin: &Admin,
    name: &str,
    what: &str,
    time: Option<Std>,
    act: impl FnOnce(&Health) -> Result<(), NoSuchCheck>,
) -> Response {
    let health = &admin.health;
    if let Err(error) = act(health) {
        return unknown(&error);
    }
    audit(name, what, time);
    match health.report().component(name) {
        Some(component) => Json(component.document()).into_response(),
        None => unknown(&NoSuchCheck(name.to_owned())),
    }
}

fn audit(name: &str, what: &str, time: Option<Std>) {
    let limit = time.map_or_else(String::new, |time| format!(" for {}", Duration::from(time)));
    tracing::warn!(
        event = event::CHECK_OPERATED,
        check = name,
        action = what,
        seconds = time.map(|time| time.as_secs()),
        "the check {name} was {what} by hand{limit}"
    );
}

fn unknown(error: &NoSuchCheck) -> Response {
    guard::refuse(Error::new(&catalogue::NOT_FOUND).with("reason", error.to_string()))
}

fn refuse(reason: impl Into<String>) -> Response {
    guard::refuse(Error::new(&catalogue::MALFORMED_REQUEST).with("reason", reason.into()))
}
