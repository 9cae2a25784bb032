//! `seaworthy ctl`: steers a running instance. What is set by hand is told in its log and, bans apart, ends with the instance.

mod abuse;
mod bans;
mod breakers;
mod checks;
mod features;
mod flags;
mod limits;

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Global;

const TIMEOUT: Duration = Duration::from_secs(8);

/// Arguments of `ctl`.
#[derive(Args, Clone, Debug)]
pub struct CtlArgs {
    /// What to steer.
    #[command(subcommand)]
    pub what: What,
}

/// What to steer.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// The checks of what the service depends on
    #[command(subcommand)]
    Checks(checks::Checks),
    /// How the rate limits stand
    Limits(limits::Limits),
    /// List who is blocked
    Bans(#[command(flatten)] super::locate::Which),
    /// Block an address or a network for a while
    Ban(bans::Ban),
    /// Let a blocked address or network in again
    #[command(visible_alias = "unblock")]
    Unban(bans::Unban),
    /// What breakers do; with NAME and ACTION, tell one what to do
    Breakers(breakers::Breakers),
    /// Which features run on their fallback, and saying so by hand
    #[command(subcommand)]
    Features(features::Features),
    /// The feature flags, and for whom they are on
    Flags(flags::Flags),
    /// How busy the app is: requests inside, and those that wait
    Concurrency(#[command(flatten)] super::locate::Which),
    /// Who is flagged for what they cause
    #[command(subcommand)]
    Abuse(abuse::Abuse),
}

/// Does it, and prints what is the case from now on.
pub(super) async fn execute(global: &Global, args: &CtlArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Checks(checks) => checks::execute(global, checks).await,
        What::Limits(limits) => limits::execute(global, limits).await,
        What::Bans(which) => bans::list(global, which).await,
        What::Ban(ban) => bans::ban(global, ban).await,
        What::Unban(unban) => bans::unban(global, unban).await,
        What::Breakers(breakers) => breakers::execute(global, breakers).await,
        What::Features(features) => features::execute(global, features).await,
        What::Flags(flags) => flags::execute(global, flags).await,
        What::Concurrency(which) => concurrency(global, which).await,
        What::Abuse(abuse) => abuse::execute(global, abuse).await,
    }
}

async fn concurrency(global: &Global, which: &super::locate::Which) -> anyhow::Result<()> {
    let found = super::locate::find(which)?;
    let answer = found
        .ask(hyper::Method::GET, "/-/concurrency", TIMEOUT)
        .await?;
    if global.json {
        super::output::json(&answer);
    } else {
        let columns = ["name", "limit", "inside", "waiting", "refused"];
        let empty = "nothing bounds how many requests are inside";
        super::output::data(&table(&answer["pools"], &columns, empty));
    }
    Ok(())
}

/// `text` as one segment of a path.
fn percent_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).collect()
}

/// The rows of a document as columns; `empty` where there are none.
pub(super) fn table(rows: &Value, columns: &[&str], empty: &str) -> String {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return empty.to_owned();
    }
    let shown = |row: &Value, column: &str| match &row[column] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let width = |column: &str| {
        let widths = rows.iter().map(|row| shown(row, column).chars().count());
        widths.max().unwrap_or_default().max(column.len())
    };
    let widths: Vec<usize> = columns.iter().map(|column| width(column)).collect();
    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        for (cell, width) in cells.iter().zip(&widths) {
            // Writing to a text cannot fail.
            write!(text, "{cell:width$}  ").ok();
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    line(columns.iter().map(|column| column.to_uppercase()).collect());
    for row in rows {
        line(columns.iter().map(|column| shown(row, column)).collect());
    }
    text
}
