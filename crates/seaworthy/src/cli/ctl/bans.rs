//! `seaworthy ctl bans`, `ban` and `unban`: who is shut out.

use clap::Args;
use hyper::Method;
use seaworthy_core::ban::Target;
use seaworthy_core::quantity::Duration;
use serde_json::json;

use super::{TIMEOUT, percent_encoded, table};
use crate::cli::locate::{self, Which};
use crate::cli::{Global, output};

/// Somebody to shut out.
#[derive(Args, Clone, Debug)]
pub struct Ban {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// An address, or a network such as 203.0.113.0/24
    #[arg(value_name = "ADDRESS")]
    pub target: Target,
    /// For how long [default: the `block` of the configuration]
    #[arg(long = "for", value_name = "DURATION")]
    pub time: Option<Duration>,
    /// Why, in one line
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
}

/// Somebody to let in again.
#[derive(Args, Clone, Debug)]
pub struct Unban {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// The address or network
    #[arg(value_name = "ADDRESS")]
    pub target: Target,
}

pub(super) async fn list(global: &Global, which: &Which) -> anyhow::Result<()> {
    let found = locate::find(which)?;
    let answer = found.ask(Method::GET, "/-/bans", TIMEOUT).await?;
    if global.json {
        output::json(&answer);
    } else {
        let columns = ["address", "seconds_left", "times", "reason"];
        output::data(&table(&answer["bans"], &columns, "nobody is blocked"));
    }
    Ok(())
}

pub(super) async fn ban(global: &Global, ban: &Ban) -> anyhow::Result<()> {
    let found = locate::find(&ban.which)?;
    let wish = json!({
        "address": ban.target.to_string(),
        "for": ban.time.map(|time| time.to_string()),
        "reason": ban.reason,
    });
    let answer = found
        .ask_with(Method::POST, "/-/bans", Some(wish), TIMEOUT)
        .await?;
    if global.json {
        output::json(&answer);
    } else {
        let left = &answer["seconds_left"];
        output::data(&format!("{} is blocked for {left} s", ban.target));
    }
    Ok(())
}

pub(super) async fn unban(global: &Global, unban: &Unban) -> anyhow::Result<()> {
    let found = locate::find(&unban.which)?;
    let path = format!("/-/bans/{}", percent_encoded(&unban.target.to_string()));
    let answer = found.ask(Method::DELETE, &path, TIMEOUT).await?;
    if global.json {
        output::json(&answer);
    } else {
        output::data(&format!("{} may come in again", unban.target));
    }
    Ok(())
}
