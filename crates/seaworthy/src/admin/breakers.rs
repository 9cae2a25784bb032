//! The breakers: seeing what they do, and telling them what to do.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use seaworthy_core::breaker::Steer;
use seaworthy_core::catalogue;
use seaworthy_http::error::Error;

use super::operation::Operation;
use super::{Admin, guard};
use crate::armour::BreakerDocument;

pub(super) const OPERATIONS: [Operation; 2] = [
    Operation::get("/-/breakers", "All breakers.", "breakers", || get(list)),
    Operation::post(
        "/-/breakers/{name}/{action}",
        "Tells a breaker what to do: `force_open`, `force_closed` or `reset`.",
        (200, Some("breaker")),
        || post(steer),
    ),
];

async fn list(State(admin): State<Admin>) -> Json<Vec<BreakerDocument>> {
    Json(admin.armour.breakers.documents())
}

async fn steer(
    State(admin): State<Admin>,
    Path((name, action)): Path<(String, String)>,
) -> Response {
    let steer = match action.as_str() {
        "force_open" => Steer::ForceOpen,
        "force_closed" => Steer::ForceClosed,
        "reset" => Steer::Reset,
        _ => {
            let reason = "the action is force_open, force_closed or reset";
            return guard::refuse(Error::new(&catalogue::NOT_FOUND).with("reason", reason));
        }
    };
    match admin.armour.breakers.steer(&name, steer) {
        Some(document) => Json(document).into_response(),
        None => {
            let reason = format!("there is no breaker called `{name}`");
            guard::refuse(Error::new(&catalogue::NOT_FOUND).with("reason", reason))
        }
    }
}
