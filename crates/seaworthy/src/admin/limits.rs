//! The rate limits: how they stand, and a caller's buckets filled by hand.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{self, get};
use seaworthy_core::catalogue;
use seaworthy_core::names::event;
use seaworthy_http::error::Error;

use super::operation::Operation;
use super::{Admin, guard};
use crate::armour::{LimitsDocument, ResetDocument};

/// The name of a caller has at most so many bytes.
const LONGEST: usize = 256;

pub(super) const OPERATIONS: [Operation; 2] = [
    Operation::get("/-/limits", "The rate limits.", "limits", || get(list)),
    Operation {
        method: "delete",
        ..Operation::post(
            "/-/limits/{caller}",
            "Fills all buckets of a caller.",
            (200, Some("limits-reset")),
            || routing::delete(reset),
        )
    },
];

async fn list(State(admin): State<Admin>) -> Json<LimitsDocument> {
    let Admin { armour, .. } = admin;
    Json(armour.rules().limits.document(&armour.calls))
}

async fn reset(State(admin): State<Admin>, Path(caller): Path<String>) -> Response {
    if caller.len() > LONGEST || caller.chars().any(char::is_control) {
        let why = "the caller is an address, or a name of at most 256 bytes";
        return guard::refuse(Error::new(&catalogue::MALFORMED_REQUEST).with("reason", why));
    }
    let filled = admin.armour.rules().limits.reset(&caller).await;
    let shown = admin.armour.rules().reveal.name(&caller);
    tracing::info!(
        event = event::LIMITS_RESET,
        who = shown,
        "the rate limits of {shown} begin anew by hand"
    );
    Json(ResetDocument {
        caller: shown,
        filled,
    })
    .into_response()
}
