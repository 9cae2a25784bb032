//! The features of the service: seeing which are on their fallback, and putting them there and back by hand.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{self, get};
use schemars::JsonSchema;
use seaworthy_core::catalogue;
use seaworthy_core::names::event;
use seaworthy_core::quantity::Duration;
use seaworthy_health::{FeatureDocument, Features};
use seaworthy_http::error::Error;
use serde::Deserialize;

use super::operation::Operation;
use super::{Admin, guard};
use crate::schemas;

pub(super) const OPERATIONS: [Operation; 3] = [
    Operation::get("/-/features", "All features.", "features", || get(list)),
    Operation {
        method: "put",
        ..Operation::post(
            "/-/features/{name}",
            "Puts a feature on its fallback.",
            (200, Some("feature")),
            || routing::put(fall_back),
        )
    }
    .taking(schemas::input::<Wish>),
    Operation {
        method: "delete",
        ..Operation::post(
            "/-/features/{name}",
            "Takes a feature off its fallback.",
            (204, None),
            || routing::delete(recover),
        )
    },
];

/// What is served by a feature that cannot be had and has nothing in its place.
const UNAVAILABLE: &str = "unavailable";

/// What is set by hand.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    /// `true` puts it on a fallback, which is what happens without this key as well; with it nobody has to say what is served
    /// instead. `false` takes it off.
    degraded: Option<bool>,
    /// What is served instead; without it, what the check of the feature calls its default.
    active: Option<String>,
    /// Why, in one line.
    reason: String,
    /// How long it holds; without it, until it is undone.
    #[serde(rename = "for")]
    time: Option<Duration>,
}

async fn list() -> Json<Vec<FeatureDocument>> {
    Json(Features::global().documents())
}

async fn fall_back(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Json(wish): Json<Wish>,
) -> Response {
    if wish.degraded == Some(false) {
        return recover(State(admin), Path(name)).await;
    }
    let time = wish.time.map(Duration::get);
    let fall_back = |active| Features::global().fall_back(&name, active, &wish.reason, time);
    let mut set = fall_back(wish.active.as_deref());
    if set.is_err() && wish.active.is_none() && wish.degraded == Some(true) {
        set = fall_back(Some(UNAVAILABLE));
    }
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
    Json(FeatureDocument::new(&name, Some(&fallback))).into_response()
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
    let health = admin.health.clone();
    tokio::spawn(async move {
        for one in &health.report().components {
            if one.kind == "feature" {
                // One that has been removed meanwhile shows nothing any more.
                health.check_component(&one.name).await.ok();
            }
        }
    });
}
