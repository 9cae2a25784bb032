//! The features of the service: seeing which are on their fallback, and putting them there and back by hand.

use std::time::Instant;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use seaworthy_core::catalogue;
use seaworthy_core::names::event;
use seaworthy_core::quantity::Duration;
use seaworthy_health::{Fallback, Features};
use seaworthy_http::error::Error;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Admin, guard};

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/-/features", get(list))
        .route("/-/features/{name}", put(fall_back).delete(recover))
}

/// What is set by hand.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    /// What is served instead; without it, what the check of the feature calls its default.
    active: Option<String>,
    reason: String,
    /// How long it holds; without it, until it is undone.
    #[serde(rename = "for")]
    time: Option<Duration>,
}

async fn list() -> Json<Value> {
    let all = Features::global().all();
    let documents = all
        .iter()
        .map(|(name, fallback)| document(name, fallback.as_ref()));
    Json(documents.collect())
}

async fn fall_back(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(wish): Json<Wish>,
) -> Response {
    let time = wish.time.map(Duration::get);
    let set = Features::global().fall_back(&name, wish.active.as_deref(), &wish.reason, time);
    let fallback = match set {
        Ok(fallback) => fallback,
        Err(why) => {
            return guard::refuse(Error::new(&catalogue::MALFORMED_REQUEST).with("reason", why));
        }
    };
    let limit = wish
        .time
        .map_or_else(String::new, |time| format!(" for {time}"));
    tracing::warn!(
        event = event::FEATURE_DEGRADED,
        feature = name,
        active = fallback.active,
        reason = fallback.reason,
        seconds = time.map(|time| time.as_secs()),
        "the feature {name} was put on its fallback {} by hand{limit}",
        fallback.active
    );
    look(&admin);
    Json(document(&name, Some(&fallback))).into_response()
}

async fn recover(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    if !Features::global().recover(&name) {
        let reason = format!("no feature called `{name}` is on a fallback");
        return guard::refuse(Error::new(&catalogue::NOT_FOUND).with("reason", reason));
    }
    tracing::info!(
        event = event::FEATURE_RECOVERED,
        feature = name,
        "the feature {name} was taken off its fallback by hand"
    );
    look(&admin);
    StatusCode::NO_CONTENT.into_response()
}

/// Lets the checks of features look now: whoever sets one wants to see it.
fn look(admin: &Admin) {
    let health = admin.checks.health.clone();
    tokio::spawn(async move {
        for one in &health.report().components {
            if one.kind == "feature" {
                // One that has been removed meanwhile shows nothing any more.
                health.check_component(&one.name).await.ok();
            }
        }
    });
}

fn document(name: &str, fallback: Option<&Fallback>) -> Value {
    let Some(fallback) = fallback else {
        return json!({"name": name, "active": "primary", "degraded": false});
    };
    let mut document = json!({
        "name": name,
        "active": fallback.active,
        "degraded": true,
        "reason": fallback.reason,
    });
    if let Some(until) = fallback.until {
        let left = until.saturating_duration_since(Instant::now());
        document["seconds_left"] = left.as_secs().into();
    }
    document
}
