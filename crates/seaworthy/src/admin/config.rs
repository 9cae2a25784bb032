//! The configuration: which one holds, and having it taken in anew.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use seaworthy_core::catalogue;
use seaworthy_http::error::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::operation::Operation;
use super::{Admin, guard};
use crate::reload::{self, Ask, ConfigDocument, Source};
use crate::schemas;

pub(super) const OPERATIONS: [Operation; 5] = [
    Operation::get(
        "/-/config",
        "The configuration that holds, secrets masked.",
        "config",
        || get(show),
    ),
    Operation::post(
        "/-/config/reload",
        "Takes the configuration in anew.",
        (200, Some("reload")),
        || post(take_in),
    )
    .taking(schemas::input::<Wish>),
    Operation::get(
        "/-/config/history",
        "The configurations that held, the latest first.",
        "versions",
        || get(history),
    ),
    Operation::get(
        "/-/config/history/{number}",
        "One configuration that held.",
        "version",
        || get(version),
    ),
    Operation::post(
        "/-/config/rollback",
        "Brings a configuration back that held before.",
        (200, Some("reload")),
        || post(rollback),
    )
    .taking(schemas::input::<Back>),
];

/// What is to come back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Back {
    /// The version. Default: the one before that was not taken back.
    version: Option<u64>,
    /// Who is to be named in the history.
    author: Option<String>,
    /// Why the version that holds is taken back.
    reason: Option<String>,
}

/// How it is to be done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    /// Whether nothing is changed when something of it needs a restart. Otherwise the rest is.
    strict: bool,
    /// Who is to be named in the history.
    author: Option<String>,
}

async fn show(State(admin): State<Admin>) -> Json<ConfigDocument> {
    Json(admin.shown.load().config.clone())
}

async fn history(State(admin): State<Admin>) -> Response {
    match admin.history.all() {
        Ok(versions) => Json(versions).into_response(),
        Err(error) => failed(&error.to_string()),
    }
}

async fn version(State(admin): State<Admin>, Path(number): Path<u64>) -> Response {
    match admin.history.get(number) {
        Ok(Some(version)) => Json(version).into_response(),
        Ok(None) => guard::refuse(Error::new(&catalogue::NOT_FOUND)),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(reason: &str) -> Response {
    guard::refuse(Error::new(&catalogue::INTERNAL).with("reason", reason))
}

/// A document that may be left out.
fn read<T: Default + DeserializeOwned>(body: &Bytes) -> Result<T, Error> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let wrong = |error: serde_json::Error| {
        Error::new(&catalogue::MALFORMED_REQUEST).with("reason", error.to_string())
    };
    serde_json::from_slice(body).map_err(wrong)
}

async fn rollback(State(admin): State<Admin>, body: Bytes) -> Response {
    let back: Back = match read(&body) {
        Ok(back) => back,
        Err(error) => return guard::refuse(error),
    };
    let ask = Ask {
        wish: reload::Wish::Version(back.version),
        author: back.author,
        reason: back.reason,
        ..Ask::new(Source::Rollback)
    };
    granted(&admin, ask).await
}

async fn take_in(State(admin): State<Admin>, body: Bytes) -> Response {
    let wish: Wish = match read(&body) {
        Ok(wish) => wish,
        Err(error) => return guard::refuse(error),
    };
    let ask = Ask {
        strict: wish.strict,
        author: wish.author,
        ..Ask::new(Source::Api)
    };
    granted(&admin, ask).await
}

async fn granted(admin: &Admin, ask: Ask) -> Response {
    match admin.asker.ask(ask).await {
        Some(report) => {
            let code = StatusCode::from_u16(report.code()).unwrap_or_default();
            (code, Json(report)).into_response()
        }
        None => guard::refuse(Error::new(&catalogue::SHUTTING_DOWN)),
    }
}
