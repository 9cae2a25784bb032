//! The application's own settings, as they hold now.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use seaworthy_core::catalogue;
use seaworthy_http::error::Error;

use super::operation::Operation;
use super::{Admin, guard};
use crate::documents::DocumentsDocument;

pub(super) const OPERATIONS: [Operation; 2] = [
    Operation::get(
        "/-/config/documents",
        "The application's own settings: which sets and documents there are.",
        "documents",
        || get(list),
    ),
    Operation::get(
        "/-/config/documents/{set}/{name}",
        "What one document says, as JSON; its ETag is the hash of its text.",
        "document",
        || get(one),
    ),
];

async fn list(State(admin): State<Admin>) -> Json<DocumentsDocument> {
    Json(admin.documents.list())
}

async fn one(State(admin): State<Admin>, Path((set, name)): Path<(String, String)>) -> Response {
    match admin.documents.get(&set, &name) {
        Some((value, hash)) => {
            ([(header::ETAG, format!("\"{hash}\""))], Json(value)).into_response()
        }
        None => {
            let reason = format!("there is no document `{name}` in a set `{set}`");
            guard::refuse(Error::new(&catalogue::NOT_FOUND).with("reason", reason))
        }
    }
}
