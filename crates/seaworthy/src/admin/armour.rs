//! What the rules in front of the app remember: who is shut out, who is flagged, who is inside. Seeing it, and changing it by
//! hand.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{self, get, post};
use schemars::JsonSchema;
use seaworthy_core::ban::Target;
use seaworthy_core::catalogue;
use seaworthy_core::names::event;
use seaworthy_core::quantity::Duration;
use seaworthy_http::error::Error;
use serde::Deserialize;

use super::operation::Operation;
use super::{Admin, guard};
use crate::armour::{BansDocument, FlagsDocument, PoolsDocument};
use crate::schemas;

/// How long a block by hand lasts where no section says how long.
const BLOCK: std::time::Duration = std::time::Duration::from_secs(900);
/// A reason is one line of at most so many bytes.
const LONGEST: usize = 128;
/// So is the name of a caller.
const LONGEST_NAME: usize = 256;

pub(super) const OPERATIONS: [Operation; 7] = [
    Operation::get(
        "/-/concurrency",
        "How busy the app is.",
        "concurrency",
        || get(concurrency),
    ),
    Operation::get("/-/bans", "Who is blocked.", "bans", || get(list)),
    Operation::post(
        "/-/bans",
        "Blocks an address or a network.",
        (200, Some("ban")),
        || post(ban),
    )
    .taking(schemas::input::<Ban>),
    Operation {
        method: "delete",
        ..Operation::post(
            "/-/bans/{address}",
            "Lets an address or a network in again.",
            (204, None),
            || routing::delete(unban),
        )
    },
    Operation::get("/-/abuse", "Who is flagged.", "abuse", || get(flags)),
    Operation {
        method: "put",
        ..Operation::post(
            "/-/abuse/{caller}",
            "Flags a caller by hand.",
            (200, Some("flag")),
            || routing::put(flag),
        )
    }
    .taking(schemas::input::<Flag>),
    Operation {
        method: "delete",
        ..Operation::post(
            "/-/abuse/{caller}",
            "Takes a flag back.",
            (204, None),
            || routing::delete(clear),
        )
    },
];

/// Somebody to shut out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Ban {
    /// An address, or a network such as `203.0.113.0/24`.
    address: String,
    /// How long; without it, as long as the configuration blocks.
    #[serde(rename = "for", default)]
    time: Option<Duration>,
    /// Why, in one line.
    #[serde(default)]
    reason: Option<String>,
}

/// A remark on somebody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flag {
    /// Why, in one line.
    reason: String,
    /// How long it stays; without it, as long as the configuration keeps flags.
    #[serde(rename = "for", default)]
    time: Option<Duration>,
}

async fn list(State(admin): State<Admin>) -> Json<BansDocument> {
    Json(admin.armour.bans_document())
}

async fn ban(State(admin): State<Admin>, Json(wish): Json<Ban>) -> Response {
    let target: Target = match wish.address.parse() {
        Ok(target) => target,
        Err(error) => return malformed(&error.to_string()),
    };
    let reason = wish.reason.as_deref().unwrap_or("by hand");
    if !is_line(reason) {
        return malformed("the reason is one line of at most 128 bytes");
    }
    let usual = admin.armour.rules().bans.map_or(BLOCK, |rules| rules.block);
    let time = wish.time.map_or(usual, Duration::get);
    if time.is_zero() {
        return malformed("no time at all blocks nobody");
    }
    let Some(shown) = admin.armour.ban(target, time, reason) else {
        return malformed("there are too many bans already");
    };
    tracing::warn!(
        event = event::BAN_SET,
        address = shown.address,
        seconds = time.as_secs(),
        cause = reason,
        "{} is blocked by hand for {} s ({reason})",
        shown.address,
        time.as_secs()
    );
    Json(shown).into_response()
}

async fn unban(State(admin): State<Admin>, Path(address): Path<String>) -> Response {
    let target: Target = match address.parse() {
        Ok(target) => target,
        Err(error) => return malformed(&error.to_string()),
    };
    if !admin.armour.unban(target) {
        let reason = format!("{target} is not blocked");
        return guard::refuse(Error::new(&catalogue::NOT_FOUND).with("reason", reason));
    }
    let shown = admin.armour.shown(target);
    tracing::info!(
        event = event::BAN_LIFTED,
        address = shown,
        "{shown} may come in again, by hand"
    );
    StatusCode::NO_CONTENT.into_response()
}

async fn concurrency(State(admin): State<Admin>) -> Json<PoolsDocument> {
    Json(admin.armour.pools.document())
}

async fn flags(State(admin): State<Admin>) -> Json<FlagsDocument> {
    Json(admin.armour.flags_document())
}

async fn flag(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    Json(wish): Json<Flag>,
) -> Response {
    if !is_line(&wish.reason) || id.is_empty() || id.len() > LONGEST_NAME {
        return malformed("the caller is a name, and the reason one line of at most 128 bytes");
    }
    let time = wish.time.map(Duration::get);
    let Some(shown) = admin.armour.flag(&id, &wish.reason, time) else {
        return malformed("there are too many flags already");
    };
    tracing::warn!(
        event = event::ABUSE_FLAGGED,
        kind = shown.kind,
        who = shown.caller,
        reason = wish.reason,
        "the {} {} is flagged by hand ({})",
        shown.kind,
        shown.caller,
        wish.reason
    );
    Json(shown).into_response()
}

async fn clear(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    if !admin.armour.clear(&id) {
        let reason = format!("`{id}` is not flagged");
        return guard::refuse(Error::new(&catalogue::NOT_FOUND).with("reason", reason));
    }
    let shown = admin.armour.rules().reveal.name(&id);
    tracing::info!(
        event = event::ABUSE_CLEARED,
        who = shown,
        "the flag of {shown} was taken back by hand"
    );
    StatusCode::NO_CONTENT.into_response()
}

fn is_line(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(char::is_control)
}

fn malformed(reason: &str) -> Response {
    guard::refuse(Error::new(&catalogue::MALFORMED_REQUEST).with("reason", reason))
}
