//! What went wrong lately, by service.

use axum::Json;
use axum::extract::State;
use axum::routing::get;

use super::Admin;
use super::operation::Operation;
use crate::armour::ErrorsDocument;

pub(super) const OPERATIONS: [Operation; 1] = [Operation::get(
    "/-/errors",
    "What went wrong, by service.",
    "errors",
    || get(list),
)];

async fn list(State(admin): State<Admin>) -> Json<ErrorsDocument> {
    Json(admin.armour.errors.document())
}
