//! The feature flags, as they hold now.

use axum::Json;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use super::Admin;
use super::operation::{Operation, Parameter};
use crate::flags::FeatureFlagsDocument;

pub(super) const OPERATIONS: [Operation; 1] = [Operation::get(
    "/-/flags",
    "The feature flags, and for whom they are on.",
    "flags",
    || get(list),
)
.asking(&[Parameter {
    name: "key",
    about: "Says for each flag whether it is on for this principal, address or request id.",
    values: &[],
}])];

#[derive(Debug, Deserialize)]
struct Asked {
    key: Option<String>,
}

async fn list(
    State(admin): State<Admin>,
    Query(asked): Query<Asked>,
) -> Json<FeatureFlagsDocument> {
    Json(admin.flags.document(asked.key.as_deref()))
}
